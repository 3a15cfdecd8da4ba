//! Services that follow their records in the shared table: what is done about what is seen there.

use super::routed::Routed;
use crate::balancer::Host;
use crate::register::routing::Entry;
use crate::specification::{elsewhere, may_be_sent_to, not_allowed};
use agent_core::config::Invalid;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Of what balancers draw, and where requests may go.
pub struct Followed {
    /// Hosts other than this machine that may be sent to.
    allowed: Vec<String>,
    seed: u64,
    services: BTreeMap<String, Service>,
    misses: Misses,
}

/// Looks at the table in a row that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Misses(u32);

impl Misses {
    /// So many may fail before the table counts as away: one fails now and then while somebody opens or closes a file.
    const TOLERATED: u32 = 1;

    /// The table was read; said if it counted as away.
    pub fn end(&mut self) -> Option<News> {
        (std::mem::take(&mut self.0) > Self::TOLERATED).then_some(News::Back)
    }

    /// It cannot be read; said once.
    pub fn another(&mut self, why: String) -> Option<News> {
        self.0 = self.0.saturating_add(1);
        (self.0 == Self::TOLERATED + 1).then_some(News::Away { why })
    }
}

struct Service {
    route: Arc<Routed>,
    /// The revision that was seen last, whether it is followed or not.
    seen: u64,
}

/// What somebody who watches should know.
#[derive(Clone, PartialEq, Debug)]
pub enum News {
    Changed {
        service: String,
        hosts: Vec<Host>,
        revision: u64,
    },
    /// Its requests go nowhere.
    Unset {
        service: String,
        revision: u64,
    },
    /// The record before it is followed still.
    NotAllowed {
        service: String,
        address: String,
        revision: u64,
    },
    /// The hosts before are followed still.
    Unusable {
        service: String,
        why: String,
    },
    /// All go on as they are.
    Away {
        why: String,
    },
    Back,
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { service, hosts, revision } => {
                let hosts: Vec<String> = hosts.iter().map(Host::to_string).collect();
                write!(f, "service `{service}` goes to {} from now on, revision {revision}", hosts.join(", "))
            }
            Self::Unset { service, revision } => {
                write!(f, "service `{service}` is routed nowhere any more, revision {revision}")
            }
            Self::NotAllowed { service, address, revision } => write!(
                f,
                "service `{service}` goes on as before: {}, so that revision {revision} is not followed\n  \
                 help: allow it by name if it is yours and bears the load (--allow), or route the service elsewhere",
                elsewhere(address)
            ),
            Self::Unusable { service, why } => write!(f, "service `{service}` goes on as before: {why}"),
            Self::Away { why } => write!(f, "the table is away, and services go on as they are routed: {why}"),
            Self::Back => f.write_str("the table is there again"),
        }
    }
}

impl Followed {
    pub fn new(allowed: Vec<String>, seed: u64) -> Self {
        Self { allowed, seed, services: BTreeMap::new(), misses: Misses::default() }
    }

    /// Those that are followed.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// Where requests of a service go, from now on and through all changes; `entry`: as the table has it.
    ///
    /// # Errors
    /// It is routed nowhere, or where load must not go.
    pub fn begin(&mut self, service: &str, entry: Option<&Entry>) -> Result<Arc<Routed>, Invalid> {
        let routed = entry.and_then(|entry| Some((entry, entry.record()?)));
        let (entry, record) = routed.ok_or_else(|| {
            let problem = format!("service `{service}` has no hosts in the table");
            Invalid::new(problem, format!("route it first: `agent load route set {service} 127.0.0.1:8080 1`"))
        })?;
        self.require_allowed(&entry.hosts)
            .map_err(|Invalid { problem, help }| Invalid::new(format!("service `{service}`: {problem}"), help))?;
        if let Some(known) = self.services.get_mut(service) {
            if known.seen <= entry.revision {
                known.seen = entry.revision;
                known.route.follow(entry.balancer, record);
            }
            return Ok(Arc::clone(&known.route));
        }
        let route = Arc::new(Routed::new(entry.balancer, record, self.seed));
        self.services.insert(service.to_owned(), Service { route: Arc::clone(&route), seen: entry.revision });
        Ok(route)
    }

    /// # Errors
    /// The first host that load must not go to.
    pub fn require_allowed(&self, hosts: &[Host]) -> Result<(), Invalid> {
        self.forbidden(hosts).map_or(Ok(()), |address| Err(not_allowed(address)))
    }

    /// What stands in the table now. Records that are new are followed; a service of which nothing is said goes on.
    pub fn hear(&mut self, entries: &BTreeMap<String, Entry>) -> Vec<News> {
        let mut news = Vec::from_iter(self.misses.end());
        for entry in entries.values() {
            let Some(service) = self.services.get(&entry.service) else { continue };
            if entry.revision <= service.seen {
                continue;
            }
            news.push(self.take(entry));
            if let Some(service) = self.services.get_mut(&entry.service) {
                service.seen = entry.revision;
            }
        }
        news
    }

    /// The table cannot be read; said once.
    pub fn misses(&mut self, why: String) -> Option<News> {
        self.misses.another(why)
    }

    fn take(&self, entry: &Entry) -> News {
        let Entry { service, hosts, revision, .. } = entry.clone();
        let route = self.services.get(&service).map(|it| &it.route);
        if let Some(address) = self.forbidden(&hosts) {
            return News::NotAllowed { address: address.to_owned(), service, revision };
        }
        match entry.record() {
            Some(record) => {
                route.into_iter().for_each(|route| route.follow(entry.balancer, record.clone()));
                News::Changed { service, hosts, revision }
            }
            None => {
                route.into_iter().for_each(|route| route.unset());
                News::Unset { service, revision }
            }
        }
    }

    fn forbidden<'a>(&self, hosts: &'a [Host]) -> Option<&'a str> {
        let address = |host: &'a Host| host.address.as_str();
        hosts.iter().map(address).find(|address| !may_be_sent_to(address, &self.allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::BalancerKind;
    use crate::generator::Route as _;
    use agent_core::domain::time::Timestamp;

    fn entry(service: &str, revision: u64, hosts: &[&str]) -> Entry {
        Entry {
            service: service.to_owned(),
            revision,
            hosts: hosts.iter().map(|address| Host::new(*address, 1.0)).collect(),
            balancer: BalancerKind::default(),
            changed_by: "ada".to_owned(),
            changed_at: Timestamp(0),
            key: revision.to_string(),
        }
    }

    fn entries(all: &[Entry]) -> BTreeMap<String, Entry> {
        all.iter().map(|entry| (entry.service.clone(), entry.clone())).collect()
    }

    fn said(news: Vec<News>) -> Vec<String> {
        news.iter().map(|news| news.to_string().lines().next().unwrap().to_owned()).collect()
    }

    fn chosen(route: &Routed) -> Option<String> {
        route.choose().map(|target| target.host.to_string())
    }

    #[test]
    fn requests_go_where_the_latest_record_says() {
        let mut followed = Followed::new(Vec::new(), 1);
        let shop = followed.begin("shop", Some(&entry("shop", 3, &["127.0.0.1:1"]))).unwrap();
        assert_eq!(chosen(&shop).as_deref(), Some("127.0.0.1:1"));
        let seen = entries(&[entry("shop", 4, &["127.0.0.1:2"]), entry("bank", 9, &["127.0.0.1:9"])]);
        assert_eq!(said(followed.hear(&seen)), ["service `shop` goes to 127.0.0.1:2 from now on, revision 4"]);
        assert_eq!(chosen(&shop).as_deref(), Some("127.0.0.1:2"));
        assert_eq!(followed.hear(&seen), [], "nothing is new");
        assert_eq!(followed.hear(&entries(&[entry("shop", 3, &["127.0.0.1:1"])])), [], "what is old is late");
        assert_eq!(followed.hear(&BTreeMap::new()), [], "of what nothing is said nothing is known");
        assert_eq!(chosen(&shop).as_deref(), Some("127.0.0.1:2"));
        let unset = entries(&[entry("shop", 5, &[])]);
        assert_eq!(said(followed.hear(&unset)), ["service `shop` is routed nowhere any more, revision 5"]);
        assert_eq!(chosen(&shop), None);
        followed.hear(&entries(&[entry("shop", 6, &["127.0.0.1:1"])]));
        assert_eq!(chosen(&shop).as_deref(), Some("127.0.0.1:1"));
    }

    #[test]
    fn who_follows_a_service_twice_follows_one_route() {
        let mut followed = Followed::new(Vec::new(), 1);
        let first = followed.begin("shop", Some(&entry("shop", 1, &["127.0.0.1:1"]))).unwrap();
        let second = followed.begin("shop", Some(&entry("shop", 2, &["127.0.0.1:2"]))).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(chosen(&first).as_deref(), Some("127.0.0.1:2"));
        assert_eq!(followed.services().collect::<Vec<_>>(), ["shop"]);
    }

    #[test]
    fn what_load_must_not_go_to_is_not_followed() {
        let mut followed = Followed::new(vec!["example.org".to_owned()], 1);
        let error = followed.begin("shop", Some(&entry("shop", 1, &["10.0.0.1:1"]))).err().unwrap();
        assert_eq!(error.problem, "service `shop`: `10.0.0.1:1` is another machine");
        for nothing in [None, Some(&entry("shop", 1, &[]))] {
            let error = followed.begin("shop", nothing).err().unwrap();
            assert_eq!(error.problem, "service `shop` has no hosts in the table");
            assert_eq!(error.help, "route it first: `agent load route set shop 127.0.0.1:8080 1`");
        }
        let shop = followed.begin("shop", Some(&entry("shop", 1, &["example.org:1"]))).unwrap();
        let other = entries(&[entry("shop", 2, &["127.0.0.1:1", "example.com:1"])]);
        let expected =
            "service `shop` goes on as before: `example.com:1` is another machine, so that revision 2 is not followed";
        assert_eq!(said(followed.hear(&other)), [expected]);
        assert_eq!(followed.hear(&other), [], "it is said once");
        assert_eq!(chosen(&shop).as_deref(), Some("example.org:1"));
    }

    #[test]
    fn a_table_that_is_away_is_told_once_and_changes_nothing() {
        let mut followed = Followed::new(Vec::new(), 1);
        let shop = followed.begin("shop", Some(&entry("shop", 1, &["127.0.0.1:1"]))).unwrap();
        assert_eq!(followed.misses("busy".to_owned()), None, "one look may fail");
        assert_eq!(followed.hear(&BTreeMap::new()), []);
        assert_eq!(followed.misses("busy".to_owned()), None);
        assert_eq!(followed.misses("no route".to_owned()), Some(News::Away { why: "no route".to_owned() }));
        assert_eq!(followed.misses("no route".to_owned()), None);
        assert_eq!(chosen(&shop).as_deref(), Some("127.0.0.1:1"));
        let seen = entries(&[entry("shop", 2, &["127.0.0.1:2"])]);
        let expected = ["the table is there again", "service `shop` goes to 127.0.0.1:2 from now on, revision 2"];
        assert_eq!(said(followed.hear(&seen)), expected);
    }
}
