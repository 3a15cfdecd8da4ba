//! The load hosts that joined by the table: finding them, asking them, and waiting for what they say.

use super::refused::Refused;
use super::shared::SharedTable;
use crate::register::hosts::LoadHost;
use crate::register::orders::{Answer, Ask, Forget, Order, OrderId, Task, Withdraw};
use crate::register::{Scope, Which};
use crate::steering::Selection;
use crate::table::{LoadTable, carry_out};
use agent_core::config::Invalid;
use agent_core::knowledge::Result as Looked;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::sleep;

/// How often it is looked for answers.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// What a host says of an order, as it is kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said<T> {
    Did(T),
    /// It is not done, for this reason.
    Refused {
        problem: String,
        help: String,
    },
}

impl<T> Said<T> {
    pub fn refused(Invalid { problem, help }: Invalid) -> Self {
        Self::Refused { problem, help }
    }
}

/// What became of an order.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome<T> {
    Said(Said<T>),
    /// The host is not heard of any more, or is another process by now; what it did of it nobody knows.
    Gone,
}

/// What hosts were asked, until all have answered or are gone.
pub struct Asked {
    on: SharedTable,
    waiting: BTreeMap<OrderId, Order>,
    /// Answered; forgotten together.
    done: Vec<Order>,
}

/// The hosts that are there and meant, by their names.
pub async fn hosts(table: &dyn LoadTable, selection: &Selection) -> Looked<Vec<LoadHost>> {
    let seen = table.look(Scope { hosts: Which::All, ..Scope::default() }).await?;
    Ok(seen.hosts_there().filter(|host| selection.matches(&host.name, &host.labels)).cloned().collect())
}

impl Asked {
    /// Asks each host for its own; and which of them could not be asked because they are gone.
    pub async fn begin(on: SharedTable, tasks: Vec<(LoadHost, Task)>) -> Looked<(Self, Vec<String>)> {
        let names: Vec<String> = tasks.iter().map(|(host, _)| host.name.clone()).collect();
        let ask = Ask { key: (on.new_key)(), by: on.by.clone(), tasks };
        let orders = carry_out(on.table.as_ref(), ask).await?;
        let gone = names.into_iter().filter(|name| orders.iter().all(|order| order.host != *name)).collect();
        let waiting = orders.into_iter().map(|order| (order.id, order)).collect();
        Ok((Self { on, waiting, done: Vec::new() }, gone))
    }

    /// The next host that has answered or is gone. `None`: all have.
    ///
    /// # Errors
    /// The table cannot be read; it can be asked for again.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Looked<Option<(String, Outcome<T>)>> {
        loop {
            if self.waiting.is_empty() {
                return Ok(None);
            }
            if let Some(found) = self.look().await? {
                return Ok(Some(found));
            }
            sleep(LOOKS_EVERY).await;
        }
    }

    async fn look<T: DeserializeOwned>(&mut self) -> Looked<Option<(String, Outcome<T>)>> {
        let names = || Which::These(self.waiting.values().map(|order| order.host.clone()).collect());
        let seen = self.on.table.look(Scope { hosts: names(), orders_of: names(), ..Scope::default() }).await?;
        let is_there = |order: &Order| seen.hosts_there().any(|host| host.holder == order.holder);
        let is_done = |order: &Order| seen.orders.get(&order.id).is_some_and(|it| it.is_done);
        let Some(order) = self.waiting.values().find(|order| is_done(order) || !is_there(order)).cloned() else {
            return Ok(None);
        };
        let outcome = match is_done(&order) {
            true => self.read(&order).await?,
            false => Outcome::Gone,
        };
        self.waiting.remove(&order.id);
        self.done.push(order.clone());
        Ok(Some((order.host, outcome)))
    }

    async fn read<T: DeserializeOwned>(&self, order: &Order) -> Looked<Outcome<T>> {
        let Some(text) = self.on.table.answer(order.id).await? else { return Ok(Outcome::Gone) };
        let said = serde_json::from_str(&text);
        Ok(Outcome::Said(said.unwrap_or_else(|error| Said::Refused {
            problem: format!("its answer says nothing that is known here: {error}"),
            help: "let all load hosts be of one version".to_owned(),
        })))
    }

    /// The hosts that have not answered yet.
    pub fn silent(&self) -> impl Iterator<Item = String> {
        self.waiting.values().map(|order| order.host.clone())
    }

    /// Nobody wants any more what has not been answered yet: it ends, and is answered.
    pub async fn withdraw(&self) -> Looked<()> {
        let orders = self.waiting.values().cloned().collect();
        carry_out(self.on.table.as_ref(), Withdraw { orders }).await
    }

    /// The table need not keep any of it longer. What is still waited for ends by itself where it can.
    pub async fn end(self) -> Looked<()> {
        let orders: Vec<Order> = self.done.into_iter().chain(self.waiting.into_values()).collect();
        carry_out(self.on.table.as_ref(), Forget { orders }).await
    }
}

/// What a host says of an order, for the table; too long an answer is said to be.
pub fn answer<T: Serialize>(order: &Order, said: &Said<T>) -> Answer {
    // Everything here can be written as JSON.
    let text = serde_json::to_string(said).unwrap_or_default();
    Answer { order: order.clone(), text }
}

/// What several hosts did, and which of them did not.
#[derive(Debug)]
pub struct Heard<T> {
    /// By the names of hosts.
    pub did: Vec<(String, T)>,
    pub refused: Vec<(String, Invalid)>,
    pub gone: Vec<String>,
}

impl<T> Heard<T> {
    /// Nobody was asked.
    pub fn none() -> Self {
        Self { did: Vec::new(), refused: Vec::new(), gone: Vec::new() }
    }
}

/// Asks hosts and waits until each has answered or is gone.
pub async fn ask<T: DeserializeOwned>(on: &SharedTable, tasks: Vec<(LoadHost, Task)>) -> Looked<Heard<T>> {
    let mut heard = Heard::none();
    if tasks.is_empty() {
        return Ok(heard);
    }
    let (mut asked, gone) = Asked::begin(on.clone(), tasks).await?;
    heard.gone = gone;
    while let Some((host, outcome)) = asked.next().await? {
        match outcome {
            Outcome::Said(Said::Did(did)) => heard.did.push((host, did)),
            Outcome::Said(Said::Refused { problem, help }) => heard.refused.push((host, Invalid::new(problem, help))),
            Outcome::Gone => heard.gone.push(host),
        }
    }
    asked.end().await?;
    Ok(heard)
}

/// A refusal as a host says it of itself to others.
pub fn told(refused: &Refused) -> Invalid {
    match refused {
        Refused::Verb(invalid) => invalid.clone(),
        other => Invalid::new(other.to_string(), "see what the load host says of it, and try again"),
    }
}
