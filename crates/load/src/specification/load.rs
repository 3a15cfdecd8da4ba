//! A load as it is meant.

use super::arrivals::Arrivals;
use crate::balancer::{Balancer, BalancerKind, Record};
use crate::generator::Template;
use agent_arrivals::Plan;
use agent_core::domain::ids::{AgentId, DataSetName};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use std::time::Duration;

/// Who sends what where, and when. All of it can be done: its services can be routed, its clients end.
#[derive(Clone, PartialEq, Debug)]
pub struct Specification {
    pub name: String,
    /// The file, as it was read.
    pub text: String,
    /// The same seed makes the same arrivals.
    pub seed: u64,
    /// Nothing is meant to be sent at or after it. `None`: every client ends by itself.
    pub duration: Option<Duration>,
    /// At least one, by different names.
    pub services: Vec<Service>,
    /// At least one.
    pub clients: Vec<Client>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Service {
    pub name: String,
    pub hosts: Hosts,
}

/// Who says where the requests of a service go.
#[derive(Clone, PartialEq, Debug)]
pub enum Hosts {
    /// The file.
    Listed(Listed),
    /// The service's record in the table of a network, while load runs too.
    Table,
    /// The catalogue in that table, in the same way.
    Replicas(Replicas),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Listed {
    /// With the service's name; its revision is 1.
    pub record: Record,
    pub balancing: Balancing,
}

/// The stores that hold a replica of a data set.
#[derive(Clone, PartialEq, Debug)]
pub struct Replicas {
    pub data_set: DataSetName,
    /// Only the replica that this agent refers to.
    pub of: Option<AgentId>,
    pub balancing: Balancing,
}

/// How one of several hosts is chosen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Balancing {
    pub kind: BalancerKind,
    /// For [`BalancerKind::NearestBelow`]: a share of the CPU, 0 to 1.
    pub cpu_threshold: f64,
}

/// So many sources of requests that are alike.
#[derive(Clone, PartialEq, Debug)]
pub struct Client {
    /// One of the services.
    pub service: String,
    /// At least 1.
    pub count: u32,
    /// Of each of them.
    pub arrivals: Arrivals,
    /// So many of the requests of each may be under way; at least 1.
    pub in_flight: usize,
    /// What is sent later than this after its time counts as late.
    pub late_after: Duration,
    /// So long an answer is waited for.
    pub timeout: Duration,
    pub request: Request,
}

/// A request as a template, in which variables like `{n}` stand for what differs.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// By name.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The same, ready to be sent.
    pub template: Template,
    /// What is read by S3; of that, this is the request without place and signature.
    pub reads: Option<Reads>,
}

/// What a request reads by S3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reads {
    Object(S3Object),
    /// The service is a data set: its object or, where it has many, the one of this key.
    Replica(Option<String>),
}

/// An object in a bucket of whatever serves it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Object {
    pub bucket: String,
    pub key: String,
}

impl Specification {
    /// Every client with the intended times of each of its sources: these have chance of their own, and none depends on how
    /// many others there are.
    pub fn plans(&self) -> impl Iterator<Item = (&Client, impl Iterator<Item = Plan>)> {
        self.clients.iter().zip(0..).map(move |(client, index)| {
            let plan = move |copy| {
                let plan = client.arrivals.plan(self.seed_of(index, copy));
                match self.duration {
                    Some(end) => plan.until(end),
                    None => plan,
                }
            };
            (client, (0..client.count).map(plan))
        })
    }

    /// The services that the table routes.
    pub fn routed_by_the_table(&self) -> impl Iterator<Item = &str> {
        let services = self.services.iter().filter(|service| service.hosts == Hosts::Table);
        services.map(|service| service.name.as_str())
    }

    /// Whether the table of a network says where some of its requests go.
    pub fn asks_the_table(&self) -> bool {
        self.services.iter().any(|service| service.listed().is_none())
    }

    fn seed_of(&self, client: u32, copy: u32) -> u64 {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(u64::from(client) << 32 | u64::from(copy));
        rng.next_u64()
    }
}

impl Service {
    pub fn listed(&self) -> Option<&Listed> {
        match &self.hosts {
            Hosts::Listed(listed) => Some(listed),
            Hosts::Table | Hosts::Replicas(_) => None,
        }
    }
}

impl Balancing {
    /// Follows a record, from the specification's seed.
    pub fn balancer(&self, record: Record, seed: u64) -> Balancer {
        Balancer::new(self.kind, record, seed).with_cpu_threshold(self.cpu_threshold)
    }
}
