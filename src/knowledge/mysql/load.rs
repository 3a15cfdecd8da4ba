//! Experiments, routing records and load hosts. What may be done with them is `agent_load::register`'s to say.

use super::MysqlKnowledge;
use super::select::{Part, Question};
use super::tables::{Result, Tables, is_meant, text, values};
use agent_core::knowledge;
use agent_core::knowledge::requests::document;
use agent_load::register::experiment::{Experiment, ExperimentId, Files};
use agent_load::register::orders::OrderId;
use agent_load::register::{Changed, Register, Scope};
use agent_load::table::rows::{self as documents, LIVE};
use agent_load::table::{Listing, LoadTable, Work};
use async_trait::async_trait;

const SETTINGS: Part = Part {
    name: "load_settings",
    table: documents::SETTINGS,
    columns: &["id", "document"],
    from: "from load_settings",
};
const EXPERIMENTS: Part = Part {
    name: "load_experiments",
    table: documents::EXPERIMENTS,
    columns: &["id", "request_key", "state", "document"],
    from: "from load_experiments",
};
const FILES: Part = Part {
    name: "load_files",
    table: documents::FILES,
    columns: &["experiment", "name", "content"],
    from: "from load_files",
};
const HOSTS: Part =
    Part { name: "load_hosts", table: documents::HOSTS, columns: &["name", "document"], from: "from load_hosts" };
const ORDERS: Part = Part {
    name: "load_orders",
    table: documents::ORDERS,
    columns: &["id", "host", "document"],
    from: "from load_orders",
};
const ANSWERS: Part = Part {
    name: "load_answers",
    table: documents::ANSWERS,
    columns: &["order_id", "content"],
    from: "from load_answers",
};
const ROUTES: Part = Part {
    name: "load_routes",
    table: documents::ROUTES,
    columns: &["service", "revision", "document"],
    from: "from load_routes",
};

#[async_trait]
impl LoadTable for MysqlKnowledge {
    async fn transact(&self, operation: &'static str, scope: Scope, work: Work) -> knowledge::Result<()> {
        self.run(operation, (scope, work), |tables, (scope, work)| Box::pin(tables.transact_load(scope, work))).await
    }

    async fn look(&self, scope: Scope) -> knowledge::Result<Register> {
        self.run("load", scope, |tables, scope| Box::pin(tables.register(scope))).await
    }

    async fn experiments(&self, asked: &Listing) -> knowledge::Result<Vec<Experiment>> {
        self.run("experiments", asked.rest(), |tables, rest| Box::pin(tables.experiments(rest))).await
    }

    async fn files(&self, id: ExperimentId) -> knowledge::Result<Files> {
        self.run("experiment", id, |tables, id| Box::pin(tables.load_files(*id))).await
    }

    async fn answer(&self, id: OrderId) -> knowledge::Result<Option<String>> {
        self.run("answer", id, |tables, id| Box::pin(tables.load_answer(*id))).await
    }
}

impl Tables {
    async fn transact_load(&mut self, scope: &Scope, work: &Work) -> Result<()> {
        self.begin().await?;
        // Whoever comes second waits here, and on another server of a cluster finds that it was overtaken.
        self.execute("update load_settings set writes = writes + 1 where id = 1", Vec::new()).await?;
        let mut register = self.register(scope).await?;
        work(&mut register)?;
        let changed = register.take_changed();
        self.keep_register(&register, &changed).await?;
        self.commit().await
    }

    async fn register(&mut self, scope: &Scope) -> Result<Register> {
        let ids = values(&scope.experiments, |id| id.0.into());
        let services = values(&scope.services, |service| text(service));
        let hosts = values(&scope.hosts, |host| text(host));
        let asked = values(&scope.orders_of, |host| text(host));
        let of_experiments = is_meant("id", &ids, &format!("state in {LIVE}"));
        // No key is empty.
        let key = text(scope.key.as_deref().unwrap_or_default());
        let experiments = format!("where {of_experiments} or request_key = ?");
        let [of_services, of_hosts, of_asked] = [("service", &services), ("name", &hosts), ("host", &asked)]
            .map(|(column, values)| format!("where {}", is_meant(column, values, "true")));
        let question = Question::new()
            .and(&SETTINGS, "where id = 1", [])
            .and_each(&EXPERIMENTS, &experiments, ids.into_iter().flatten().chain([key]))
            .and_each(&ROUTES, &of_services, services.into_iter().flatten())
            .and_each(&HOSTS, &of_hosts, hosts.into_iter().flatten())
            .and_each(&ORDERS, &of_asked, asked.into_iter().flatten());
        let answer = self.ask(question).await?;
        let settings = answer.read(&SETTINGS, documents::settings).pop().unwrap_or_default();
        let mut register = Register::new(answer.now, settings);
        let experiments = answer.read(&EXPERIMENTS, documents::experiment);
        register.experiments = experiments.into_iter().map(|experiment| (experiment.id, experiment)).collect();
        let entries = answer.read(&ROUTES, documents::entry);
        register.entries = entries.into_iter().map(|entry| (entry.service.clone(), entry)).collect();
        let hosts = answer.read(&HOSTS, documents::host);
        register.hosts = hosts.into_iter().map(|host| (host.name.clone(), host)).collect();
        let orders = answer.read(&ORDERS, documents::order);
        register.orders = orders.into_iter().map(|order| (order.id, order)).collect();
        Ok(register)
    }

    async fn keep_register(&mut self, register: &Register, changed: &Changed) -> Result<()> {
        if changed.settings {
            let sql = "update load_settings set document = ? where id = 1";
            self.execute(sql, vec![document(&register.settings).into()]).await?;
        }
        let experiments = changed.experiments.iter().filter_map(|id| register.experiments.get(id));
        let experiments = experiments.map(|experiment| {
            let Experiment { id, key, state, .. } = experiment;
            [id.0.into(), text(key), state.name().into(), document(experiment).into()]
        });
        self.put("load_experiments", ["id", "request_key", "state", "document"], experiments.collect()).await?;
        let mut files = Vec::new();
        for (id, of_one) in &changed.files {
            files.extend(of_one.iter().map(|(name, content)| [id.0.into(), text(name), content.into()]));
        }
        for file in files {
            // One at a time: a server takes only so much in a statement.
            self.put("load_files", ["experiment", "name", "content"], vec![file]).await?;
        }
        let entries = changed.services.iter().filter_map(|service| register.entries.get(service));
        let entries = entries.map(|entry| {
            let revision = i64::try_from(entry.revision).unwrap_or(i64::MAX);
            [text(&entry.service), revision.into(), document(entry).into()]
        });
        self.put("load_routes", ["service", "revision", "document"], entries.collect()).await?;
        self.keep_load_hosts(register, changed).await
    }

    async fn keep_load_hosts(&mut self, register: &Register, changed: &Changed) -> Result<()> {
        let (there, gone): (Vec<&String>, Vec<_>) =
            changed.hosts.iter().partition(|name| register.hosts.contains_key(*name));
        for name in gone {
            self.execute("delete from load_hosts where name = ?", vec![text(name)]).await?;
        }
        let hosts = there.into_iter().filter_map(|name| register.hosts.get(name));
        let hosts = hosts.map(|host| [text(&host.name), document(host).into()]);
        self.put("load_hosts", ["name", "document"], hosts.collect()).await?;
        let (there, gone): (Vec<&OrderId>, Vec<_>) =
            changed.orders.iter().partition(|id| register.orders.contains_key(id));
        for id in gone {
            self.execute("delete from load_orders where id = ?", vec![id.0.into()]).await?;
            self.execute("delete from load_answers where order_id = ?", vec![id.0.into()]).await?;
        }
        let orders = there.into_iter().filter_map(|id| register.orders.get(id));
        let orders = orders.map(|order| [order.id.0.into(), text(&order.host), document(order).into()]);
        self.put("load_orders", ["id", "host", "document"], orders.collect()).await?;
        for (id, content) in &changed.answers {
            self.put("load_answers", ["order_id", "content"], vec![[id.0.into(), content.into()]]).await?;
        }
        Ok(())
    }

    async fn experiments(&mut self, rest: &str) -> Result<Vec<Experiment>> {
        let answer = self.ask(Question::new().and(&EXPERIMENTS, rest, [])).await?;
        Ok(answer.read(&EXPERIMENTS, documents::experiment))
    }

    async fn load_files(&mut self, id: ExperimentId) -> Result<Files> {
        let answer = self.ask(Question::new().and(&FILES, "where experiment = ?", [id.0.into()])).await?;
        Ok(answer.read(&FILES, documents::file).into_iter().collect())
    }

    async fn load_answer(&mut self, id: OrderId) -> Result<Option<String>> {
        let answer = self.ask(Question::new().and(&ANSWERS, "where order_id = ?", [id.0.into()])).await?;
        Ok(answer.read(&ANSWERS, documents::answer).pop())
    }
}
