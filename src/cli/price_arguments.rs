//! What can be written about money.

use super::constraint_arguments::OrNone;
use agent_core::domain::books::{Payer, Stated};
use agent_core::domain::ids::{AgentId, NodeId};
use agent_core::domain::money::{Budget, StoragePrice, TransferPrice};
use clap::Args;

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  agent set budget '5 EUR/day'
  agent set budget '1 EUR/week' --agent 2
  agent set budget none")]
pub struct SetBudget {
    /// In each hour, day, week or month (30 days): '5 EUR/day'
    #[arg(value_name = "BUDGET|none")]
    pub budget: OrNone<Budget>,
    /// Of this agent's actions and reads [default: of the network]
    #[arg(long, value_name = "ID")]
    pub agent: Option<AgentId>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: agent set storage-price 1 '0.021 EUR/GB/month'")]
pub struct SetStoragePrice {
    pub node: NodeId,
    /// '0.021 EUR/GB/month'
    #[arg(value_name = "PRICE|none")]
    pub price: OrNone<StoragePrice>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Example: agent set egress-price 1 2 '0.09 EUR/GB' --one-way")]
pub struct SetEgressPrice {
    pub from: NodeId,
    pub to: NodeId,
    /// '0.09 EUR/GB'
    #[arg(value_name = "PRICE|none")]
    pub price: OrNone<TransferPrice>,
    /// Only from FROM to TO, not back
    #[arg(long)]
    pub one_way: bool,
    #[arg(long)]
    pub json: bool,
}

impl SetBudget {
    pub fn stated(&self) -> Vec<Stated> {
        vec![Stated::Budget(self.agent.map_or(Payer::Network, Payer::Agent), self.budget.0)]
    }
}

impl SetStoragePrice {
    pub fn stated(&self) -> Vec<Stated> {
        vec![Stated::Storage(self.node, self.price.0)]
    }
}

impl SetEgressPrice {
    pub fn stated(&self) -> Vec<Stated> {
        let there = Stated::Egress(self.from, self.to, self.price.0);
        let back = (!self.one_way).then_some(Stated::Egress(self.to, self.from, self.price.0));
        [there].into_iter().chain(back).collect()
    }
}
