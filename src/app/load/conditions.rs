//! How hosts are whose services go to the nearest that is not busy: how long a connection to each takes, and how busy its machine is, as far as
//! anybody knows.

use super::Network;
use crate::membership::asking::{Around, Asked};
use agent_load::balancer::{BalancerKind, Condition, SharedBalancer};
use agent_load::generator::Route;
use agent_load::routes::Routed;
use agent_sampler::Sampler;
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep, timeout};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A host that takes longer to connect to is not there; a member that takes longer to answer says nothing this time.
const WITHIN: Duration = Duration::from_secs(1);
/// The least of so many connections counts: what others took longer was chance.
const REMEMBERED: usize = 5;
/// What a member holds may be so old.
const FRESH: Duration = Duration::from_secs(30);

/// Who chooses the hosts of a service, wherever its record comes from.
#[derive(Clone)]
pub enum Balanced {
    Listed(Arc<SharedBalancer>),
    /// As the table of a network says while load runs.
    Followed(Arc<Routed>),
}

impl Balanced {
    pub fn route(&self) -> Arc<dyn Route> {
        match self {
            Self::Listed(balancer) => balancer.clone(),
            Self::Followed(routed) => routed.clone(),
        }
    }

    fn balancer(&self) -> &SharedBalancer {
        match self {
            Self::Listed(balancer) => balancer,
            Self::Followed(routed) => routed.balancer(),
        }
    }

    /// Hosts that were nearer than the one that was chosen, and busy.
    pub fn passed_over(&self) -> u64 {
        self.balancer().lock().violations()
    }

    /// Of those whose condition matters.
    fn addresses(&self) -> Vec<String> {
        let balancer = self.balancer().lock();
        let hosts = balancer.record().hosts().iter();
        match balancer.kind() {
            BalancerKind::NearestBelow => hosts.map(|host| host.address.clone()).collect(),
            BalancerKind::WeightedRandom | BalancerKind::WeightedRoundRobin | BalancerKind::LeastOutstanding => {
                Vec::new()
            }
        }
    }
}

/// Looks at hosts while requests are sent.
pub struct Conditions {
    balanced: Vec<Balanced>,
    /// Whose members may know how busy other machines are.
    network: Option<Network>,
    /// These, once they were needed.
    members: Option<Around>,
    /// This machine.
    here: Sampler,
    connected: BTreeMap<String, VecDeque<Duration>>,
}

impl Conditions {
    pub fn new(balanced: Vec<Balanced>, network: Option<Network>) -> Self {
        let mut here = Sampler::new("/");
        // What follows is since then.
        here.sample(Instant::now().into_std());
        Self { balanced, network, members: None, here, connected: BTreeMap::new() }
    }

    /// As long as requests are sent.
    pub async fn go_on(&mut self) -> Infallible {
        loop {
            sleep(EVERY).await;
            self.look().await;
        }
    }

    /// Tells every balancer that wants to know.
    pub async fn look(&mut self) {
        let addresses: BTreeSet<String> = self.balanced.iter().flat_map(Balanced::addresses).collect();
        if addresses.is_empty() {
            return;
        }
        let seen = join_all(addresses.iter().map(|address| reach(address))).await;
        let machines: BTreeSet<IpAddr> = seen.iter().flatten().map(|(at, _)| at.ip()).collect();
        let busy = self.busy(&machines).await;
        for (address, seen) in addresses.into_iter().zip(seen) {
            let condition = match seen {
                Some((at, took)) => {
                    let cpu = busy.get(&at.ip()).copied().unwrap_or(f64::NAN);
                    Condition { latency_ms: self.least(&address, took).as_secs_f64() * 1e3, cpu }
                }
                // Behind all others.
                None => Condition { latency_ms: f64::INFINITY, cpu: 1.0 },
            };
            self.balanced.iter().for_each(|balanced| balanced.balancer().lock().observe(&address, condition));
        }
    }

    fn least(&mut self, address: &str, took: Duration) -> Duration {
        let latest = self.connected.entry(address.to_owned()).or_default();
        latest.push_back(took);
        if latest.len() > REMEMBERED {
            latest.pop_front();
        }
        latest.iter().copied().min().unwrap_or(took)
    }

    /// The share of all cores that is in use, of those machines of which somebody knows it.
    async fn busy(&mut self, machines: &BTreeSet<IpAddr>) -> BTreeMap<IpAddr, f64> {
        let here = self.here.sample(Instant::now().into_std()).cpu_percent;
        let local = machines.iter().filter(|machine| machine.is_loopback());
        let mut busy: BTreeMap<IpAddr, f64> = local.filter_map(|machine| Some((*machine, here? / 100.0))).collect();
        let elsewhere: BTreeSet<IpAddr> = machines.iter().copied().filter(|machine| !machine.is_loopback()).collect();
        if let Some(network) = self.network.as_ref().filter(|_| !elsewhere.is_empty()) {
            let members = match self.members.take() {
                Some(members) => members,
                None => network.members().await,
            };
            busy.extend(told(self.members.insert(members), &elsewhere).await);
        }
        busy
    }
}

/// Where it is, and how long a connection took; `None`: there is none.
async fn reach(address: &str) -> Option<(SocketAddr, Duration)> {
    let at = timeout(WITHIN, lookup_host(address)).await.ok()?.ok()?.next()?;
    let began = Instant::now();
    let connected = timeout(WITHIN, TcpStream::connect(at)).await.ok()?;
    connected.ok().map(|_| (at, began.elapsed()))
}

/// What members say of these machines. Several nodes may be on one, and each measures all of it.
async fn told(members: &Around, machines: &BTreeSet<IpAddr>) -> Vec<(IpAddr, f64)> {
    let Ok((_, listed)) = members.list(WITHIN).await else { return Vec::new() };
    let there = listed.into_iter().filter(|member| member.standing.lives() && machines.contains(&member.address.ip()));
    let asked = there.map(async |member| {
        let asked = Asked { node: member.node, quorum: 1, within: FRESH, deadline: WITHIN };
        let answered = members.query(&asked).await.ok()?.ok()?;
        Some((member.address.ip(), f64::from(answered.record.record().own.cpu_permille) / 1e3))
    });
    join_all(asked).await.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_load::balancer::{Balancer, Host, Record};
    use tokio::net::TcpListener;

    fn balanced(kind: BalancerKind, addresses: &[String], threshold: f64) -> Balanced {
        let hosts = addresses.iter().map(|address| Host::new(address.as_str(), 1.0)).collect();
        let record = Record::new("shop", hosts, 1).expect("a record");
        let balancer = Balancer::new(kind, record, 1).with_cpu_threshold(threshold);
        Balanced::Listed(Arc::new(SharedBalancer::new(balancer)))
    }

    #[tokio::test]
    async fn a_host_that_cannot_be_connected_to_comes_last() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let there = listener.local_addr().expect("an address").to_string();
        let gone = {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            listener.local_addr().expect("an address").to_string()
        };
        let service = balanced(BalancerKind::NearestBelow, &[gone.clone(), there.clone()], 1.0);
        let first = |service: &Balanced| service.route().choose().expect("a host").host.to_string();
        assert_eq!(first(&service), gone, "nothing is known yet, and the first is as good as any");
        let passed_over = service.passed_over();
        let mut conditions = Conditions::new(vec![service.clone()], None);
        conditions.look().await;
        assert_eq!(first(&service), there);
        // This machine may have been measured twice within one tick of its clock: then nobody knows how busy it is.
        assert!(service.passed_over() - passed_over <= 2);
    }

    #[tokio::test]
    async fn who_balances_otherwise_is_not_looked_at() {
        let service = balanced(BalancerKind::LeastOutstanding, &["127.0.0.1:1".to_owned()], 0.8);
        let mut conditions = Conditions::new(vec![service.clone()], None);
        conditions.look().await;
        assert_eq!((service.addresses().len(), conditions.connected.len()), (0, 0));
    }

    #[test]
    fn of_the_latest_connections_the_fastest_counts() {
        let mut conditions = Conditions::new(Vec::new(), None);
        let least: Vec<u64> = [30, 10, 20, 20, 20, 20, 25]
            .map(|ms| conditions.least("a:80", Duration::from_millis(ms)).as_millis() as u64)
            .to_vec();
        assert_eq!(least, [30, 10, 10, 10, 10, 10, 20]);
    }
}
