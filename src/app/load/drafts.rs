//! A load as texts that somebody sent, and not as files: what is wrong with it, and what it would send.

use agent_arrivals::{Plan, Profile};
use agent_core::config::{ConfigError, Invalid, Problems};
use agent_load::register::experiment::Files;
use agent_load::register::queue::Enqueue;
use agent_load::specification::{Arrivals, Client, RefusedTarget, Specification, refused_targets};
use agent_load::steering::Selection;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

/// The name of a text is no longer \[bytes\].
const NAME_MAX: usize = 255;
/// More rates are not told, of all clients together.
const RATES_TOLD: usize = 10_000;
/// Requests are counted as far as they can be in this time, and no further than so many.
const COUNTED_WITHIN: Duration = Duration::from_millis(500);
const COUNTED_AT_MOST: u64 = 10_000_000;

/// The text that says a load, and the recordings that it names.
pub struct Draft {
    /// What the text is called.
    pub file: String,
    pub text: String,
    pub recordings: Files,
}

impl Draft {
    /// The load, which goes to this machine alone and to hosts that were named.
    pub fn read(&self, allowed: &[String]) -> Result<Specification, ConfigError> {
        let mut problems = Problems::default();
        problems.enter(&self.file);
        for (place, name) in std::iter::once(("file", &self.file)).chain(self.names().map(|name| ("recordings", name)))
        {
            problems.check(place, named(name));
        }
        if self.recordings.contains_key(&self.file) {
            let invalid =
                Invalid::new(format!("`{}` is the load itself", self.file.escape_debug()), "call it otherwise");
            problems.add("recordings", invalid);
        }
        problems.settle(Some(()))?;
        let used = RefCell::new(BTreeSet::new());
        let specification = Specification::read(&self.file, &self.text, |recording| {
            let name = recording.display().to_string();
            let missing =
                || io::Error::new(io::ErrorKind::NotFound, "it is not among the recordings that came with it");
            let text = self.recordings.get(&name).cloned().ok_or_else(missing)?;
            used.borrow_mut().insert(name);
            Ok(text)
        })?;
        let mut problems = Problems::default();
        problems.enter(&self.file);
        for name in self.names().filter(|name| !used.borrow().contains(*name)) {
            let invalid = Invalid::new(format!("the load does not name `{}`", name.escape_debug()), "leave it out");
            problems.add("recordings", invalid);
        }
        for RefusedTarget { service, address } in refused_targets(&specification, allowed) {
            let help = "load goes to this machine alone unless a host is allowed by name; allow it only if it is yours and bears the load";
            let invalid = Invalid::new(format!("`{address}` is another machine"), help);
            problems.add(format!("service `{service}`: hosts"), invalid);
        }
        problems.settle(Some(specification))
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.recordings.keys()
    }

    /// As it is queued.
    pub fn experiment(
        self,
        allowed: &[String],
        on: Option<Selection>,
        key: String,
        by: String,
    ) -> Result<Enqueue, ConfigError> {
        let Specification { name, .. } = self.read(allowed)?;
        let Self { file, text, recordings: mut files } = self;
        files.insert(file.clone(), text);
        Ok(Enqueue { key, name, file, files, on, by })
    }
}

fn named(name: &str) -> Result<(), Invalid> {
    match (1..=NAME_MAX).contains(&name.len()) && !name.contains(char::is_control) {
        true => Ok(()),
        false => {
            let help = format!("write 1 to {NAME_MAX} bytes, none of them a control character");
            Err(Invalid::new("is no name of a text", help))
        }
    }
}

/// What a load would send.
pub struct Forecast {
    pub services: Vec<ServiceForecast>,
    pub clients: Vec<ClientForecast>,
    /// `None`: more than can be counted in a moment.
    pub requests: Option<u64>,
}

pub struct ServiceForecast {
    pub service: String,
    pub requests: Option<u64>,
}

/// Of all sources of one client of the file.
pub struct ClientForecast {
    pub service: String,
    pub sources: u32,
    /// `None`: there are none, but gaps.
    pub ticks: Option<Ticks>,
    pub requests: Option<u64>,
    /// Of the last request that was counted, since the start.
    pub until: Duration,
}

/// The rates of each source.
pub struct Ticks {
    pub interval: Duration,
    pub count: u32,
    /// Per second, tick by tick: the first of them.
    pub rates: Vec<f64>,
}

impl Forecast {
    pub fn of(specification: &Specification) -> Self {
        let (mut left, mut counter) = (RATES_TOLD, Counter::new());
        let forecast = |(client, plans): (&Client, _)| {
            let ticks = ticks(client, specification.duration, left);
            left -= ticks.as_ref().map_or(0, |ticks| ticks.rates.len());
            let (requests, until) = counter.count(plans);
            ClientForecast { service: client.service.clone(), sources: client.count, ticks, requests, until }
        };
        let clients: Vec<ClientForecast> = specification.plans().map(forecast).collect();
        let services = specification.services.iter().map(|service| ServiceForecast {
            service: service.name.clone(),
            requests: sum(clients.iter().filter(|client| client.service == service.name)),
        });
        Self { services: services.collect(), requests: sum(clients.iter()), clients }
    }
}

fn sum<'a>(clients: impl Iterator<Item = &'a ClientForecast>) -> Option<u64> {
    clients.map(|client| client.requests).sum()
}

fn ticks(client: &Client, duration: Option<Duration>, told: usize) -> Option<Ticks> {
    let Arrivals::Profile { profile, .. } = &client.arrivals else { return None };
    let count = tick_count(profile, duration);
    let rates = profile.ticks().take((count as usize).min(told)).collect();
    Some(Ticks { interval: profile.interval(), count, rates })
}

/// Up to the end of the profile, or of the load.
fn tick_count(profile: &Profile, duration: Option<Duration>) -> u32 {
    let begun = |duration: Duration| duration.as_nanos().div_ceil(profile.interval().as_nanos());
    let begun = duration.map_or(u32::MAX, |duration| u32::try_from(begun(duration)).unwrap_or(u32::MAX));
    profile.tick_count().unwrap_or(u32::MAX).min(begun)
}

/// Counts until it has no time left.
struct Counter {
    left: u64,
    until: Instant,
}

impl Counter {
    fn new() -> Self {
        Self { left: COUNTED_AT_MOST, until: Instant::now() + COUNTED_WITHIN }
    }

    /// `None`: there are more; and when the last one comes that was counted.
    fn count(&mut self, plans: impl Iterator<Item = Plan>) -> (Option<u64>, Duration) {
        let (mut requests, mut last) = (0, Duration::ZERO);
        for mut plan in plans {
            loop {
                if self.left == 0 || Instant::now() >= self.until {
                    self.left = 0;
                    return (None, last);
                }
                let Some(arrival) = plan.next() else { break };
                self.left -= 1;
                (requests, last) = (requests + 1, last.max(arrival.at));
            }
        }
        (Some(requests), last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "name = \"evening\"\n[[service]]\nname = \"shop\"\nhosts = [\"127.0.0.1:8080\"]\n";

    fn draft(client: &str, recordings: &[(&str, &str)]) -> Draft {
        let recordings = recordings.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let text = format!("{SERVICE}[[client]]\nservice = \"shop\"\n{client}\n");
        Draft { file: "load.toml".to_owned(), text, recordings }
    }

    fn forecast(client: &str) -> Forecast {
        Forecast::of(&draft(client, &[]).read(&[]).unwrap_or_else(|error| panic!("{error}")))
    }

    fn wrong(draft: &Draft) -> Vec<String> {
        let error = draft.read(&[]).map(|_| ()).unwrap_err();
        error.problems().iter().map(|problem| format!("{}: {}", problem.place, problem.problem)).collect()
    }

    #[test]
    fn rates_and_requests_are_those_that_would_be_sent() {
        let forecast =
            forecast("count = 3\nprofile = { linear = { from = 1, to = 3 }, interval = \"2 s\", over = \"6 s\" }");
        let [client] = forecast.clients.as_slice() else { panic!("one client") };
        let ticks = client.ticks.as_ref().unwrap();
        assert_eq!(
            (ticks.interval, ticks.count, ticks.rates.as_slice()),
            (Duration::from_secs(2), 3, &[1.0, 2.0, 3.0][..])
        );
        assert_eq!((client.sources, client.requests, forecast.requests), (3, Some(36), Some(36)));
        assert_eq!(forecast.services[0].requests, Some(36));
    }

    #[test]
    fn what_has_no_end_of_its_own_ends_with_the_load() {
        let mut endless = draft("rate = 2", &[]);
        endless.text = format!("duration = \"2500 ms\"\n{}", endless.text);
        let forecast = Forecast::of(&endless.read(&[]).unwrap());
        let ticks = forecast.clients[0].ticks.as_ref().unwrap();
        assert_eq!((ticks.count, ticks.rates.as_slice(), forecast.requests), (3, &[2.0; 3][..], Some(5)));
    }

    #[test]
    fn what_is_too_much_is_not_told_in_full() {
        let many =
            forecast("profile = { linear = { from = 0, to = 10000000 }, interval = \"1 ms\", over = \"1000 s\" }");
        let ticks = many.clients[0].ticks.as_ref().unwrap();
        assert_eq!((ticks.count, ticks.rates.len()), (1_000_000, RATES_TOLD));
        assert_eq!((many.requests, many.services[0].requests), (None, None));
    }

    #[test]
    fn recordings_are_those_that_are_named() {
        let replay = "gaps = { replay = \"gaps.csv\" }";
        let queued =
            draft(replay, &[("gaps.csv", "0.1\n0.2\n")]).experiment(&[], None, "k".to_owned(), "me".to_owned());
        let queued = queued.unwrap();
        assert_eq!((queued.name.as_str(), queued.file.as_str()), ("evening", "load.toml"));
        assert_eq!(queued.files.keys().collect::<Vec<_>>(), ["gaps.csv", "load.toml"]);
        let missing = "client 1: gaps: `gaps.csv` cannot be read: it is not among the recordings that came with it";
        assert_eq!(wrong(&draft(replay, &[])), [missing]);
        let other = "recordings: the load does not name `other.csv`";
        assert_eq!(wrong(&draft(replay, &[("gaps.csv", "1"), ("other.csv", "1")])), [other]);
        let long = "x".repeat(300);
        assert_eq!(
            wrong(&draft("rate = 1", &[("load.toml", ""), ("", ""), ("a\0", ""), (&long, "")])),
            [
                "recordings: is no name of a text",
                "recordings: is no name of a text",
                "recordings: is no name of a text",
                "recordings: `load.toml` is the load itself",
            ]
        );
    }

    #[test]
    fn load_goes_to_this_machine_unless_a_host_is_named() {
        let mut draft = draft("profile = { ticks = [1], interval = \"1 s\" }", &[]);
        draft.text = draft.text.replace("127.0.0.1", "example.org");
        assert_eq!(wrong(&draft), ["service `shop`: hosts: `example.org:8080` is another machine"]);
        assert!(draft.read(&["example.org".to_owned()]).is_ok());
    }
}
