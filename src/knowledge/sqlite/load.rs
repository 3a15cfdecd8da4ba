//! Experiments, routing records and load hosts, within one transaction. What may be done with them is `agent_load::register`'s to say.

use super::connect::Failure;
use super::rows;
use super::{SqliteKnowledge, Tables};
use agent_core::knowledge;
use agent_core::knowledge::requests::document;
use agent_load::register::experiment::{Experiment, ExperimentId, Files};
use agent_load::register::orders::OrderId;
use agent_load::register::{Changed, Register, Scope, Which};
use agent_load::table::rows::{self as documents, LIVE};
use agent_load::table::{Listing, LoadTable, Work};
use async_trait::async_trait;
use rusqlite::{Params, params, params_from_iter};

type Result<T> = std::result::Result<T, Failure>;

#[async_trait]
impl LoadTable for SqliteKnowledge {
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> knowledge::Result<()> {
        self.write(operation, move |tables| {
            let mut register = tables.register(&scope)?;
            work(&mut register)?;
            let changed = register.take_changed();
            tables.keep_register(&register, &changed)
        })
        .await
    }

    async fn look(&self, scope: Scope) -> knowledge::Result<Register> {
        self.read("load", move |tables| tables.register(&scope)).await
    }

    async fn experiments(&self, asked: &Listing) -> knowledge::Result<Vec<Experiment>> {
        let rest = asked.rest();
        self.read("experiments", move |tables| tables.experiments(&rest, [])).await
    }

    async fn files(&self, id: ExperimentId) -> knowledge::Result<Files> {
        self.read("experiment", move |tables| {
            let sql = "select experiment, name, content from load_files where experiment = ?";
            let files =
                rows::read(tables.transaction, tables.quarantine, documents::FILES, sql, [id.0], documents::file)?;
            Ok(files.into_iter().collect())
        })
        .await
    }

    async fn answer(&self, id: OrderId) -> knowledge::Result<Option<String>> {
        self.read("answer", move |tables| {
            let sql = "select order_id, content from load_answers where order_id = ?";
            let (transaction, quarantine) = (tables.transaction, &mut *tables.quarantine);
            let answers = rows::read(transaction, quarantine, documents::ANSWERS, sql, [id.0], documents::answer)?;
            Ok(answers.into_iter().next())
        })
        .await
    }
}

impl Tables<'_> {
    fn register(&mut self, scope: &Scope) -> Result<Register> {
        let (transaction, quarantine) = (self.transaction, &mut *self.quarantine);
        let sql = "select id, document from load_settings";
        let settings = rows::read(transaction, quarantine, documents::SETTINGS, sql, [], documents::settings)?;
        let mut register = Register::new(self.now, settings.into_iter().next().unwrap_or_default());

        let experiments = match &scope.experiments {
            Which::All => self.experiments(&format!("where state in {LIVE} or request_key = ?"), [&scope.key])?,
            Which::These(these) => {
                let meant = "where id in (select value from json_each(?)) or request_key = ?";
                self.experiments(meant, [&Some(document(these)), &scope.key])?
            }
        };
        register.experiments = experiments.into_iter().map(|experiment| (experiment.id, experiment)).collect();

        let (transaction, quarantine) = (self.transaction, &mut *self.quarantine);
        let (meant, services) = among("service", &scope.services);
        let sql = format!("select service, revision, document from load_routes where {meant}");
        let services = params_from_iter(services);
        let entries = rows::read(transaction, quarantine, documents::ROUTES, &sql, services, documents::entry)?;
        register.entries = entries.into_iter().map(|entry| (entry.service.clone(), entry)).collect();

        let (meant, names) = among("name", &scope.hosts);
        let sql = format!("select name, document from load_hosts where {meant}");
        let names = params_from_iter(names);
        let hosts = rows::read(transaction, quarantine, documents::HOSTS, &sql, names, documents::host)?;
        register.hosts = hosts.into_iter().map(|host| (host.name.clone(), host)).collect();
        let (meant, names) = among("host", &scope.orders_of);
        let sql = format!("select id, host, document from load_orders where {meant}");
        let names = params_from_iter(names);
        let orders = rows::read(transaction, quarantine, documents::ORDERS, &sql, names, documents::order)?;
        register.orders = orders.into_iter().map(|order| (order.id, order)).collect();
        Ok(register)
    }

    fn experiments(&mut self, rest: &str, params: impl Params) -> Result<Vec<Experiment>> {
        let sql = format!("select id, request_key, state, document from load_experiments {rest}");
        let (transaction, quarantine) = (self.transaction, &mut *self.quarantine);
        Ok(rows::read(transaction, quarantine, documents::EXPERIMENTS, &sql, params, documents::experiment)?)
    }

    fn keep_register(&mut self, register: &Register, changed: &Changed) -> Result<()> {
        if changed.settings {
            let sql = "insert into load_settings (id, document) values (1, ?)
                on conflict (id) do update set document = excluded.document";
            self.execute(sql, [document(&register.settings)])?;
        }
        for experiment in changed.experiments.iter().filter_map(|id| register.experiments.get(id)) {
            let sql = "insert into load_experiments (id, request_key, state, document) values (?, ?, ?, ?)
                on conflict (id) do update set state = excluded.state, document = excluded.document";
            let Experiment { id, key, state, .. } = experiment;
            self.execute(sql, params![id.0, key, state.name(), document(experiment)])?;
        }
        for (id, files) in &changed.files {
            for (name, content) in files {
                let sql = "insert into load_files (experiment, name, content) values (?, ?, ?)";
                self.execute(sql, params![id.0, name, content])?;
            }
        }
        for entry in changed.services.iter().filter_map(|service| register.entries.get(service)) {
            let sql = "insert into load_routes (service, revision, document) values (?, ?, ?)
                on conflict (service) do update set revision = excluded.revision, document = excluded.document";
            let revision = i64::try_from(entry.revision).unwrap_or(i64::MAX);
            self.execute(sql, params![entry.service, revision, document(entry)])?;
        }
        self.keep_load_hosts(register, changed)
    }

    fn keep_load_hosts(&mut self, register: &Register, changed: &Changed) -> Result<()> {
        for name in &changed.hosts {
            match register.hosts.get(name) {
                Some(host) => {
                    let sql = "insert into load_hosts (name, document) values (?, ?)
                        on conflict (name) do update set document = excluded.document";
                    self.execute(sql, params![name, document(host)])?;
                }
                None => {
                    self.execute("delete from load_hosts where name = ?", [name])?;
                }
            }
        }
        for id in &changed.orders {
            match register.orders.get(id) {
                Some(order) => {
                    let sql = "insert into load_orders (id, host, document) values (?, ?, ?)
                        on conflict (id) do update set document = excluded.document";
                    self.execute(sql, params![id.0, order.host, document(order)])?;
                }
                None => {
                    self.execute("delete from load_orders where id = ?", [id.0])?;
                    self.execute("delete from load_answers where order_id = ?", [id.0])?;
                }
            }
        }
        for (id, content) in &changed.answers {
            let sql = "insert into load_answers (order_id, content) values (?, ?) on conflict (order_id) do nothing";
            self.execute(sql, params![id.0, content])?;
        }
        Ok(())
    }
}

/// A condition, and its value.
fn among(column: &str, which: &Which<String>) -> (String, Option<String>) {
    match which {
        Which::All => ("true".to_owned(), None),
        Which::These(these) => (format!("{column} in (select value from json_each(?))"), Some(document(these))),
    }
}
