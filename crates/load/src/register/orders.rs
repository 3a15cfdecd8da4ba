//! What load hosts are asked to do by whoever shares the table with them, and that it is done.

use super::experiment::{ExperimentId, Holder};
use super::hosts::LoadHost;
use super::{Refused, Register, Request, Scope, Which};
use crate::session::Errand;
use crate::specification::Share;
use agent_core::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// So many orders wait for a host at most.
pub const WAITING_MAX: usize = 1_000;
/// An answer \[bytes\]: less than what any server takes in one statement.
pub const ANSWER_MAX: usize = 8 << 20;
/// What was done is forgotten after this long, if whoever asked has not come for it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// Given by the table, in the order in which they were asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub i64);

/// One host is asked for something.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    pub host: String,
    /// The process of that host that is asked; the next one by its name does nothing of it.
    pub holder: Holder,
    /// What was asked with the same key was asked at once.
    pub key: String,
    pub by: String,
    pub asked_at: Timestamp,
    pub task: Task,
    /// Whoever asked does not want it any more.
    pub is_withdrawn: bool,
    /// There is an answer.
    pub is_done: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    Errand(Errand),
    /// A part of an experiment.
    Send(Part),
}

/// The part of an experiment that one of several hosts sends.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    pub experiment: ExperimentId,
    /// Who runs it: when the experiment is not theirs any more, it is sent no further.
    pub holder: Holder,
    pub share: Share,
    /// All parts begin together, on the table's clock.
    pub begins_at: Timestamp,
}

/// Hosts are asked, each for its own.
#[derive(Clone)]
pub struct Ask {
    /// The same key again is the same.
    pub key: String,
    pub by: String,
    /// Each host as it was seen last.
    pub tasks: Vec<(LoadHost, Task)>,
}

impl Request for Ask {
    const OPERATION: &'static str = "ask load hosts";
    /// In the order of the hosts; none of a host that is gone, or another process by now.
    type Answer = Vec<Order>;

    fn scope(&self) -> Scope {
        let hosts = || Which::These(self.tasks.iter().map(|(host, _)| host.name.clone()).collect());
        Scope { hosts: hosts(), orders_of: hosts(), ..Scope::default() }
    }

    fn apply(&self, register: &mut Register) -> Result<Vec<Order>, Refused> {
        let now = register.now;
        let old = |it: &&Order| it.is_done && now.since(it.asked_at) > FORGOTTEN_AFTER;
        for id in register.orders.values().filter(old).map(|it| it.id).collect::<Vec<_>>() {
            register.forget(id);
        }
        let mut orders: Vec<Order> = register.orders.values().filter(|it| it.key == self.key).cloned().collect();
        if !orders.is_empty() {
            return Ok(orders);
        }
        for (host, task) in &self.tasks {
            if register.hosts.get(&host.name).is_none_or(|it| it.holder != host.holder || !it.is_there(now)) {
                continue;
            }
            let waiting = register.orders.values().filter(|it| it.host == host.name && !it.is_done).count();
            if waiting >= WAITING_MAX {
                let problem = format!("{waiting} orders wait for load host `{}` already", host.name);
                return Err(Refused(format!("{problem}; see whether it does anything, or ask less of it")));
            }
            register.settings.last_order += 1;
            register.changed.settings = true;
            let order = Order {
                id: OrderId(register.settings.last_order),
                host: host.name.clone(),
                holder: host.holder.clone(),
                key: self.key.clone(),
                by: self.by.clone(),
                asked_at: now,
                task: task.clone(),
                is_withdrawn: false,
                is_done: false,
            };
            register.put_order(order.clone());
            orders.push(order);
        }
        Ok(orders)
    }
}

/// A host says what an order came to.
#[derive(Clone)]
pub struct Answer {
    pub order: Order,
    /// JSON.
    pub text: String,
}

impl Request for Answer {
    const OPERATION: &'static str = "answer as a load host";
    /// `false`: nobody waits for it any more.
    type Answer = bool;

    fn scope(&self) -> Scope {
        Scope { orders_of: Which::only(self.order.host.clone()), ..Scope::default() }
    }

    fn apply(&self, register: &mut Register) -> Result<bool, Refused> {
        if self.text.len() > ANSWER_MAX {
            let problem = format!("an answer of {} bytes is too long", self.text.len());
            return Err(Refused(format!("{problem}; an experiment of fewer ticks and hosts has shorter ones")));
        }
        let Some(order) = register.orders.get(&self.order.id).cloned() else { return Ok(false) };
        if !order.is_done {
            register.changed.answers.insert(order.id, self.text.clone());
            register.put_order(Order { is_done: true, ..order });
        }
        Ok(true)
    }
}

/// Whoever asked does not want it any more: what was begun of it ends, and is answered.
#[derive(Clone)]
pub struct Withdraw {
    pub orders: Vec<Order>,
}

impl Request for Withdraw {
    const OPERATION: &'static str = "withdraw orders";
    type Answer = ();

    fn scope(&self) -> Scope {
        of_hosts(&self.orders)
    }

    fn apply(&self, register: &mut Register) -> Result<(), Refused> {
        for id in self.orders.iter().map(|order| order.id) {
            if let Some(order) = register.orders.get(&id).filter(|it| !it.is_withdrawn).cloned() {
                register.put_order(Order { is_withdrawn: true, ..order });
            }
        }
        Ok(())
    }
}

/// Whoever asked has heard all that they wanted to.
#[derive(Clone)]
pub struct Forget {
    pub orders: Vec<Order>,
}

impl Request for Forget {
    const OPERATION: &'static str = "forget orders";
    type Answer = ();

    fn scope(&self) -> Scope {
        of_hosts(&self.orders)
    }

    fn apply(&self, register: &mut Register) -> Result<(), Refused> {
        self.orders.iter().for_each(|order| register.forget(order.id));
        Ok(())
    }
}

fn of_hosts(orders: &[Order]) -> Scope {
    Scope { orders_of: Which::These(orders.iter().map(|order| order.host.clone()).collect()), ..Scope::default() }
}

impl Register {
    fn put_order(&mut self, order: Order) {
        self.changed.orders.insert(order.id);
        self.orders.insert(order.id, order);
    }

    /// With its answer.
    pub(super) fn forget(&mut self, id: OrderId) {
        if self.orders.remove(&id).is_some() {
            self.changed.orders.insert(id);
        }
    }
}
