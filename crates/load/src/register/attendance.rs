//! What a load host does about what it is asked, without I/O: what it begins, and what it ends.

use super::Register;
use super::experiment::{ExperimentId, Holder};
use super::orders::{Order, OrderId, Part, Task};
use super::queue::{Standing, standing};
use std::collections::{BTreeMap, BTreeSet};

/// A host that joined.
#[derive(Clone, PartialEq, Debug)]
pub struct Attendance {
    holder: Holder,
    /// Begun, and perhaps done; a part until it is said to have ended.
    begun: BTreeMap<OrderId, Option<Part>>,
}

/// What a host has to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Duty {
    /// Unless it is withdrawn already: then that is all there is to answer.
    Begin(Order),
    /// A part that was begun is not wanted any more, but what came of it.
    End(OrderId),
}

impl Attendance {
    pub fn new(holder: Holder) -> Self {
        Self { holder, begun: BTreeMap::new() }
    }

    /// Of what to look at the experiments.
    pub fn experiments(&self) -> BTreeSet<ExperimentId> {
        self.begun.values().flatten().map(|part| part.experiment).collect()
    }

    /// What the table says now of this host's orders, and of the experiments of its parts. In the order in which it was asked.
    pub fn sees(&mut self, seen: &Register) -> Vec<Duty> {
        // What is forgotten will not be seen again.
        self.begun.retain(|id, part| part.is_some() || seen.orders.contains_key(id));
        let mut duties = Vec::new();
        for (id, part) in self.begun.iter().filter_map(|(id, part)| Some((id, part.as_ref()?))) {
            if seen.orders.get(id).is_none_or(|order| order.is_withdrawn) || !is_run(part, seen) {
                duties.push(Duty::End(*id));
            }
        }
        for order in seen.orders.values().filter(|order| order.holder == self.holder && !order.is_done) {
            if self.begun.contains_key(&order.id) {
                continue;
            }
            let part = match &order.task {
                Task::Send(part) if !order.is_withdrawn => Some(part.clone()),
                Task::Errand(_) | Task::Send(_) => None,
            };
            self.begun.insert(order.id, part);
            duties.push(Duty::Begin(order.clone()));
        }
        duties
    }

    /// A part is not sent any more.
    pub fn ended(&mut self, id: OrderId) {
        if let Some(part) = self.begun.get_mut(&id) {
            *part = None;
        }
    }
}

/// Whoever has it sent holds the experiment, and is there. When it is called off they withdraw it.
fn is_run(part: &Part, seen: &Register) -> bool {
    let experiment = seen.experiments.get(&part.experiment);
    standing(experiment, &part.holder) != Standing::Lost && experiment.is_some_and(|it| it.is_held(seen.now))
}

#[cfg(test)]
mod tests {
    use super::super::experiment::{Claim, Experiment, State};
    use super::super::hosts::LEASE;
    use super::*;
    use crate::session::Errand;
    use crate::specification::Share;
    use agent_core::domain::time::Timestamp;

    const NOW: Timestamp = Timestamp(1_000);

    fn holder(name: &str) -> Holder {
        Holder(name.to_owned())
    }

    fn order(id: i64, process: &str, task: Task) -> Order {
        Order {
            id: OrderId(id),
            host: "pico1".to_owned(),
            holder: holder(process),
            key: id.to_string(),
            by: "ada".to_owned(),
            asked_at: NOW,
            task,
            is_withdrawn: false,
            is_done: false,
        }
    }

    fn part() -> Task {
        let share = Share { index: 0, of: 2 };
        Task::Send(Part { experiment: ExperimentId(7), holder: holder("daemon"), share, begins_at: NOW })
    }

    fn held_by(daemon: &str) -> Experiment {
        Experiment {
            id: ExperimentId(7),
            key: "a".to_owned(),
            name: "evening".to_owned(),
            file: "load.toml".to_owned(),
            on: None,
            state: State::Running,
            queued_by: "ada".to_owned(),
            queued_at: NOW,
            claim: Some(Claim { holder: holder(daemon), until: NOW + LEASE }),
            cancelled_by: None,
            begun: 1,
            lost: 0,
            started_at: Some(NOW),
            ended_at: None,
            summary: None,
            reason: None,
        }
    }

    fn seen(orders: &[Order], experiment: Option<Experiment>) -> Register {
        let mut seen = Register { now: NOW, ..Register::default() };
        seen.orders = orders.iter().map(|order| (order.id, order.clone())).collect();
        seen.experiments = experiment.into_iter().map(|it| (it.id, it)).collect();
        seen
    }

    fn begun(order: &Order) -> Duty {
        Duty::Begin(order.clone())
    }

    #[test]
    fn each_order_is_begun_once_and_those_of_another_process_never() {
        let mut host = Attendance::new(holder("x"));
        let ping = || Task::Errand(Errand::Ping);
        let (first, second, other) = (order(1, "x", ping()), order(2, "x", ping()), order(3, "y", ping()));
        assert_eq!(host.sees(&seen(&[first.clone(), other.clone()], None)), [begun(&first)]);
        assert_eq!(host.sees(&seen(&[first.clone(), second.clone(), other], None)), [begun(&second)]);
        let done = Order { is_done: true, ..first };
        assert_eq!(host.sees(&seen(&[done, second], None)), []);
        assert_eq!(host.sees(&seen(&[], None)), [], "they are forgotten");
        assert_eq!(host, Attendance::new(holder("x")));
    }

    #[test]
    fn a_part_ends_when_it_is_withdrawn_or_forgotten_or_nobody_has_it_sent() {
        let asked = order(1, "x", part());
        let withdrawn = Order { is_withdrawn: true, ..asked.clone() };
        let over = Experiment { state: State::Cancelled, ..held_by("daemon") };
        let silent = Experiment { claim: Some(Claim { holder: holder("daemon"), until: NOW }), ..over.clone() };
        let cases = [
            seen(&[withdrawn], Some(held_by("daemon"))),
            seen(&[], Some(held_by("daemon"))),
            seen(std::slice::from_ref(&asked), Some(held_by("another"))),
            seen(std::slice::from_ref(&asked), Some(over)),
            seen(std::slice::from_ref(&asked), Some(Experiment { state: State::Running, ..silent })),
            seen(std::slice::from_ref(&asked), None),
        ];
        for after in cases {
            let mut host = Attendance::new(holder("x"));
            let before = seen(std::slice::from_ref(&asked), Some(held_by("daemon")));
            assert_eq!(host.sees(&before), [begun(&asked)]);
            assert_eq!((host.sees(&before), host.experiments().len()), (Vec::new(), 1));
            assert_eq!(host.experiments(), BTreeSet::from([ExperimentId(7)]));
            assert_eq!(host.sees(&after), [Duty::End(asked.id)], "{after:?}");
            host.ended(asked.id);
            assert_eq!((host.sees(&after), host.experiments().len()), (Vec::new(), 0), "it is said once");
        }
    }

    #[test]
    fn what_is_withdrawn_before_it_is_begun_is_answered() {
        let withdrawn = Order { is_withdrawn: true, ..order(1, "x", part()) };
        let mut host = Attendance::new(holder("x"));
        let now = seen(std::slice::from_ref(&withdrawn), Some(held_by("daemon")));
        assert_eq!(host.sees(&now), [begun(&withdrawn)]);
        assert_eq!((host.sees(&now), host.experiments().len()), (Vec::new(), 0));
    }
}
