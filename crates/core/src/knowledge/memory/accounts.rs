//! What is spent, as maps.

use crate::domain::books::{Bill, Cause, Charge, Spent, Tariff};
use crate::domain::ids::AgentId;
use crate::domain::money::Amount;
use crate::domain::time::Timestamp;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Accounts {
    pub(super) tariff: Tariff,
    pub(super) held_until: Option<Timestamp>,
    pub(super) charges: BTreeMap<Cause, Charged>,
    /// The last bill of each agent.
    billed: BTreeMap<AgentId, String>,
}

/// All that one cause has cost.
#[derive(Clone, Copy, Default)]
pub(super) struct Charged {
    bytes: u64,
    amount: Amount,
}

impl Charged {
    pub(super) fn spent(self, cause: &Cause) -> Spent {
        Spent { since: cause.since, agent: cause.agent, amount: self.amount }
    }
}

impl Accounts {
    /// What is held is billed from the first price of storage on.
    pub(super) fn replace_tariff(&mut self, tariff: Tariff, now: Timestamp) {
        self.held_until = self.held_until.filter(|_| tariff.prices_storage());
        if tariff.prices_storage() {
            self.held_until.get_or_insert(now);
        }
        self.tariff = tariff;
    }

    pub(super) fn add(&mut self, charges: Vec<Charge>) {
        for Charge { cause, bytes, amount } in charges {
            let charged = self.charges.entry(cause).or_default();
            charged.bytes = charged.bytes.saturating_add(bytes);
            charged.amount = charged.amount + amount;
        }
    }

    /// Whether a bill was not written yet; it counts as written from now on.
    pub(super) fn is_new(&mut self, bill: &Bill) -> bool {
        self.billed.insert(bill.agent, bill.key.clone()).is_none_or(|last| last != bill.key)
    }

    pub(super) fn since(&self, since: Timestamp) -> Vec<Charge> {
        let all = self.charges.iter().filter(|(cause, _)| cause.since >= since);
        let charge = |(cause, charged): (&Cause, &Charged)| Charge {
            cause: cause.clone(),
            bytes: charged.bytes,
            amount: charged.amount,
        };
        all.map(charge).collect()
    }
}
