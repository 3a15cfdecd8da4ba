//! What every technology promises: one function for each rule, run on a fresh table.
//!
//! A technology runs all of them with one line in its tests, `agent_load::contract!(factory)`, where
//! `async fn factory(clock: Arc<VirtualClock>) -> Result<Fixture, String>` opens a fresh, empty table, or says why it cannot
//! here (a service is missing).

use super::{Listing, LoadTable, carry_out, find};
use crate::balancer::{BalancerKind, Host};
use crate::register::experiment::{Experiment, ExperimentId, Files, Holder, State};
use crate::register::hosts::{self, Beat, Busy, Join, Leave, LoadHost};
use crate::register::orders::{ANSWER_MAX, Answer, Ask, Forget, Order, Task, Withdraw};
use crate::register::queue::*;
use crate::register::routing::{Entry, Flush, Reroute};
use crate::register::{Request, Scope, Which};
use crate::session::Errand;
use crate::steering::Change;
use agent_core::clock::{Clock as _, VirtualClock};
use agent_core::domain::labels::Labels;
use agent_core::domain::time::Timestamp;
use serde_json::json;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// When every test begins.
pub const START: Timestamp = Timestamp(1_000_000);
pub const LEASE: Duration = Duration::from_secs(15);

/// A technology's table under test, its time, and what must live as long (a folder, a server).
pub struct Fixture {
    pub table: Arc<dyn LoadTable>,
    pub clock: Arc<VirtualClock>,
    _keep: Box<dyn Any + Send + Sync>,
}

#[doc(hidden)]
#[macro_export]
macro_rules! contract {
    ($factory:path) => {
        $crate::contract! { $factory,
            an_experiment_is_queued_once_with_its_files,
            the_oldest_is_claimed_first_and_by_one_alone,
            an_experiment_goes_from_queued_to_finished,
            a_lease_that_is_over_can_be_claimed_again,
            what_ends_whoever_runs_it_is_not_begun_for_ever,
            a_claim_that_is_given_back_is_the_next_ones,
            a_queued_experiment_is_cancelled_at_once,
            a_running_one_is_cancelled_by_its_holder,
            a_cancelled_one_whose_holder_is_lost_is_not_begun_again,
            what_has_ended_cannot_be_cancelled,
            what_cannot_be_run_has_failed,
            experiments_are_listed_latest_first,
            too_much_is_refused,
            a_record_is_set_appended_to_removed_from_and_unset,
            a_change_that_is_asked_for_twice_is_made_once,
            who_names_an_old_revision_changes_nothing,
            records_are_looked_at_by_their_services,
            all_records_go_at_once,
            a_load_host_is_there_as_long_as_it_says_so,
            a_load_host_s_name_is_one_process_s_at_a_time,
            a_load_host_is_asked_and_answers,
            who_is_gone_is_not_asked_and_the_next_one_does_nothing_of_it,
            what_is_withdrawn_is_seen_to_be,
            an_experiment_is_claimed_by_its_number,
        }
    };
    ($factory:path, $($rule:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let clock = std::sync::Arc::new(agent_core::clock::VirtualClock::at($crate::table::contract::START));
                match $factory(clock).await {
                    Ok(fixture) => $crate::table::contract::$rule(fixture).await,
                    Err(why) => println!("SKIPPED: {why}"),
                }
            }
        )*
    };
}

fn files() -> Files {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    Files::from([file("load.toml", "name = \"größer\"\n\t'quoted' \\ \"\"\n"), file("gaps.csv", "0.1\n0.2\n")])
}

fn holder(name: &str) -> Holder {
    Holder(name.to_owned())
}

fn enqueue(key: &str) -> Enqueue {
    let (key, name, file, by) = (key.to_owned(), format!("load {key}"), "load.toml".to_owned(), "ada".to_owned());
    Enqueue { key, name, file, files: files(), on: None, by }
}

fn claim(name: &str) -> Claim {
    Claim { holder: holder(name), only: None, lease: LEASE }
}

fn end(id: ExperimentId, name: &str, ending: Ending) -> End {
    End { id, holder: holder(name), ending }
}

fn cancel(id: ExperimentId) -> Cancel {
    Cancel { id, by: "ada".to_owned() }
}

fn hosts(listed: &[(&str, f64)]) -> Vec<Host> {
    listed.iter().map(|(address, weight)| Host::new(*address, *weight)).collect()
}

fn reroute(key: &str, service: &str, change: Change) -> Reroute {
    let (key, service, by) = (key.to_owned(), service.to_owned(), "ada".to_owned());
    Reroute { key, service, change, balancer: None, revision: None, by }
}

/// `2 a:1=1 b:1=4`.
fn shown(entry: &Entry) -> String {
    let hosts = entry.hosts.iter().map(|host| format!(" {}={}", host.address, host.weight));
    format!("{}{}", entry.revision, hosts.collect::<String>())
}

impl Fixture {
    pub fn new(table: Arc<dyn LoadTable>, clock: Arc<VirtualClock>, keep: impl Any + Send + Sync) -> Self {
        Self { table, clock, _keep: Box::new(keep) }
    }

    async fn ask<R: Request>(&self, request: R) -> R::Answer {
        carry_out(self.table.as_ref(), request).await.unwrap()
    }

    /// Why it is refused.
    async fn refused<R: Request>(&self, request: R) -> String {
        match carry_out(self.table.as_ref(), request).await {
            Ok(_) => panic!("{} was not refused", R::OPERATION),
            Err(error) => error.to_string(),
        }
    }

    async fn queue(&self, key: &str) -> ExperimentId {
        self.ask(enqueue(key)).await.id
    }

    async fn claimed(&self, name: &str) -> Option<ExperimentId> {
        self.ask(claim(name)).await.map(|experiment| experiment.id)
    }

    async fn renew(&self, id: ExperimentId, name: &str) -> Standing {
        self.ask(Renew { id, holder: holder(name), lease: LEASE }).await
    }

    async fn experiment(&self, id: ExperimentId) -> Experiment {
        find(self.table.as_ref(), id).await.unwrap().unwrap()
    }

    async fn state(&self, id: ExperimentId) -> State {
        self.experiment(id).await.state
    }

    async fn reason(&self, id: ExperimentId) -> String {
        self.experiment(id).await.reason.unwrap_or_default()
    }
}

pub async fn an_experiment_is_queued_once_with_its_files(fixture: Fixture) {
    let first = fixture.ask(enqueue("a")).await;
    assert_eq!((first.id, first.state, first.name.as_str()), (ExperimentId(1), State::Queued, "load a"));
    assert_eq!((first.queued_by.as_str(), first.queued_at), ("ada", START));
    assert_eq!(fixture.ask(Enqueue { name: "other".to_owned(), ..enqueue("a") }).await, first, "the same key");
    assert_eq!(fixture.queue("b").await, ExperimentId(2));
    assert_eq!(fixture.experiment(first.id).await, first);
    assert_eq!(fixture.table.files(first.id).await.unwrap(), files());
    assert_eq!(fixture.table.files(ExperimentId(9)).await.unwrap(), Files::new());
    assert_eq!(find(fixture.table.as_ref(), ExperimentId(9)).await.unwrap(), None);
    fixture.ask(cancel(first.id)).await;
    assert_eq!(fixture.queue("a").await, first.id, "also when it is over");
}

pub async fn the_oldest_is_claimed_first_and_by_one_alone(fixture: Fixture) {
    assert_eq!(fixture.claimed("x").await, None);
    let (a, b) = (fixture.queue("a").await, fixture.queue("b").await);
    assert_eq!(fixture.claimed("x").await, Some(a));
    assert_eq!(fixture.claimed("x").await, Some(a), "who holds one is given that");
    assert_eq!(fixture.claimed("y").await, Some(b));
    assert_eq!(fixture.claimed("z").await, None);
    assert_eq!(fixture.experiment(a).await.begun, 1);
}

pub async fn an_experiment_goes_from_queued_to_finished(fixture: Fixture) {
    let id = fixture.queue("a").await;
    fixture.clock.advance(Duration::from_secs(1));
    let held = fixture.ask(claim("x")).await.unwrap();
    assert_eq!((held.state, held.started_at), (State::Running, Some(START + Duration::from_secs(1))));
    assert_eq!(held.claim.unwrap().until, START + Duration::from_secs(1) + LEASE);
    fixture.clock.advance(LEASE / 2);
    assert_eq!(fixture.renew(id, "x").await, Standing::GoesOn);
    assert_eq!(fixture.renew(id, "y").await, Standing::Lost, "it is another's");
    fixture.clock.advance(LEASE / 2);
    assert_eq!(fixture.claimed("y").await, None, "it was heard of");
    let finished = || Ending::Finished { summary: json!({ "intended": 5 }) };
    assert!(!fixture.ask(end(id, "y", finished())).await);
    assert!(fixture.ask(end(id, "x", finished())).await);
    assert!(fixture.ask(end(id, "x", finished())).await, "said twice it is heard once");
    let ended = fixture.experiment(id).await;
    assert_eq!((ended.state, ended.ended_at), (State::Finished, Some(fixture.clock.now())));
    assert_eq!((ended.summary, ended.reason), (Some(json!({ "intended": 5 })), None));
    assert_eq!(fixture.renew(id, "x").await, Standing::Lost);
    assert_eq!(fixture.claimed("y").await, None);
}

pub async fn a_lease_that_is_over_can_be_claimed_again(fixture: Fixture) {
    let id = fixture.queue("a").await;
    assert_eq!(fixture.claimed("x").await, Some(id));
    fixture.clock.advance(LEASE);
    let again = fixture.ask(claim("y")).await.unwrap();
    assert_eq!((again.id, again.begun, again.lost), (id, 2, 1));
    assert_eq!(again.reason.as_deref(), Some("begun anew: x, who ran it, was not heard of any more"));
    assert_eq!(fixture.renew(id, "x").await, Standing::Lost);
    let finished = Ending::Finished { summary: json!(null) };
    assert!(!fixture.ask(end(id, "x", finished.clone())).await, "what it did does not count");
    assert_eq!(fixture.ask(GiveBack { id, holder: holder("x") }).await, State::Running);
    assert!(fixture.ask(end(id, "y", finished)).await);
    assert_eq!(fixture.experiment(id).await.begun, 2, "one can see that it was begun anew");
}

pub async fn what_ends_whoever_runs_it_is_not_begun_for_ever(fixture: Fixture) {
    let (id, other) = (fixture.queue("a").await, fixture.queue("b").await);
    for number in 1..=LOST_MAX {
        assert_eq!(fixture.claimed(&number.to_string()).await, Some(id));
        fixture.clock.advance(LEASE);
    }
    assert_eq!(fixture.claimed("last").await, Some(other), "the next one has its turn");
    assert_eq!(fixture.state(id).await, State::Failed);
    let expected = "3 who ran it were not heard of any more, 3 the last; it may be what ends them";
    assert_eq!(fixture.reason(id).await, expected);
}

pub async fn a_claim_that_is_given_back_is_the_next_ones(fixture: Fixture) {
    let (a, _) = (fixture.queue("a").await, fixture.queue("b").await);
    assert_eq!(fixture.claimed("x").await, Some(a));
    assert_eq!(fixture.ask(GiveBack { id: a, holder: holder("y") }).await, State::Running, "it is not y's");
    assert_eq!(fixture.ask(GiveBack { id: a, holder: holder("x") }).await, State::Queued);
    assert_eq!(fixture.reason(a).await, "begun anew: x, who ran it, was stopped");
    let again = fixture.ask(claim("y")).await.unwrap();
    assert_eq!((again.id, again.begun, again.lost), (a, 2, 0));
    fixture.ask(cancel(a)).await;
    assert_eq!(fixture.ask(GiveBack { id: a, holder: holder("y") }).await, State::Cancelled);
}

pub async fn a_queued_experiment_is_cancelled_at_once(fixture: Fixture) {
    let id = fixture.queue("a").await;
    assert_eq!(fixture.ask(cancel(id)).await, State::Cancelled);
    assert_eq!(fixture.ask(cancel(id)).await, State::Cancelled, "once more is no error");
    let ended = fixture.experiment(id).await;
    assert_eq!((ended.ended_at, ended.reason.as_deref()), (Some(START), Some("cancelled by ada")));
    assert_eq!(fixture.claimed("x").await, None);
    let said = fixture.refused(cancel(ExperimentId(9))).await;
    assert_eq!(said, "cancel: there is no experiment 9; `agent load list` shows them");
}

pub async fn a_running_one_is_cancelled_by_its_holder(fixture: Fixture) {
    let id = fixture.queue("a").await;
    fixture.claimed("x").await;
    assert_eq!(fixture.ask(cancel(id)).await, State::Running);
    let seen = fixture.experiment(id).await;
    assert_eq!(standing(Some(&seen), &holder("x")), Standing::Cancelled, "a look is enough");
    assert_eq!(standing(Some(&seen), &holder("y")), Standing::Lost);
    assert_eq!(standing(None, &holder("x")), Standing::Lost);
    assert_eq!(fixture.renew(id, "x").await, Standing::Cancelled);
    assert!(fixture.ask(end(id, "x", Ending::Stopped { summary: json!({ "sent": 3 }) })).await);
    let ended = fixture.experiment(id).await;
    assert_eq!((ended.state, ended.reason.as_deref()), (State::Cancelled, Some("cancelled by ada")));
    assert_eq!(ended.summary, Some(json!({ "sent": 3 })), "what it came to until then");
}

pub async fn a_cancelled_one_whose_holder_is_lost_is_not_begun_again(fixture: Fixture) {
    let (a, b) = (fixture.queue("a").await, fixture.queue("b").await);
    assert_eq!(fixture.claimed("x").await, Some(a));
    fixture.ask(cancel(a)).await;
    fixture.clock.advance(LEASE);
    assert_eq!(fixture.claimed("y").await, Some(b));
    assert_eq!(fixture.state(a).await, State::Cancelled);
    fixture.clock.advance(LEASE);
    assert_eq!(fixture.ask(cancel(b)).await, State::Cancelled, "nobody is there who would have to stop it");
}

pub async fn what_has_ended_cannot_be_cancelled(fixture: Fixture) {
    let id = fixture.queue("a").await;
    fixture.claimed("x").await;
    fixture.ask(end(id, "x", Ending::Finished { summary: json!(1) })).await;
    let said = fixture.refused(cancel(id)).await;
    let expected = "cancel: experiment 1 has finished already; only what waits or runs can be cancelled";
    assert_eq!(said, expected);
    assert_eq!(fixture.state(id).await, State::Finished);
}

pub async fn what_cannot_be_run_has_failed(fixture: Fixture) {
    let id = fixture.queue("a").await;
    fixture.claimed("x").await;
    assert!(fixture.ask(end(id, "x", Ending::Failed { reason: "no such host".to_owned() })).await);
    assert_eq!((fixture.state(id).await, fixture.reason(id).await), (State::Failed, "no such host".to_owned()));
}

pub async fn experiments_are_listed_latest_first(fixture: Fixture) {
    for key in ["a", "b", "c"] {
        fixture.queue(key).await;
    }
    fixture.ask(cancel(ExperimentId(2))).await;
    let listed = async |states: &[State], limit| {
        let listing = Listing { states: states.iter().copied().collect(), limit };
        let experiments = fixture.table.experiments(&listing).await.unwrap();
        experiments.iter().map(|experiment| experiment.id.0).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[], 9).await, [3, 2, 1]);
    assert_eq!(listed(&[], 2).await, [3, 2]);
    assert_eq!(listed(&[State::Queued], 9).await, [3, 1]);
    assert_eq!(listed(&[State::Cancelled, State::Running], 9).await, [2]);
    assert_eq!(listed(&[State::Finished], 9).await, Vec::<i64>::new());
}

pub async fn too_much_is_refused(fixture: Fixture) {
    let file = |bytes: usize| Files::from([("load.toml".to_owned(), "x".repeat(bytes))]);
    let said = fixture.refused(Enqueue { files: file(FILES_MAX + 1), ..enqueue("a") }).await;
    assert!(
        said.starts_with("queue: it has 4194305 bytes with its recordings, and at most 4194304 are kept"),
        "{said}"
    );
    let kept = fixture.ask(Enqueue { files: file(FILES_MAX), ..enqueue("a") }).await;
    assert_eq!(kept.id, ExperimentId(1), "nothing was queued before");
    assert_eq!(fixture.table.files(kept.id).await.unwrap()["load.toml"].len(), FILES_MAX);
}

pub async fn a_record_is_set_appended_to_removed_from_and_unset(fixture: Fixture) {
    let does = async |key: &str, change| shown(&fixture.ask(reroute(key, "shop", change)).await);
    assert_eq!(does("1", Change::Set(hosts(&[("a:1", 1.0), ("b:1", 4.0)]))).await, "1 a:1=1 b:1=4");
    assert_eq!(does("2", Change::Append(hosts(&[("c:1", 0.5)]))).await, "2 a:1=1 b:1=4 c:1=0.5");
    assert_eq!(does("3", Change::Remove(vec!["a:1".to_owned()])).await, "3 b:1=4 c:1=0.5");
    let said = fixture.refused(reroute("4", "shop", Change::Remove(vec!["a:1".to_owned()]))).await;
    assert!(said.starts_with("route: service `shop`: hosts: `a:1` is not among them; "), "{said}");
    let said = fixture.refused(reroute("5", "shop", Change::Append(hosts(&[("b:1", 1.0)])))).await;
    assert!(said.contains("`b:1` is listed twice"), "{said}");
    let balanced = Reroute {
        balancer: Some(BalancerKind::LeastOutstanding),
        ..reroute("6", "shop", Change::Append(hosts(&[("d:1", 1.0)])))
    };
    let entry = fixture.ask(balanced).await;
    assert_eq!((entry.revision, entry.balancer, entry.changed_by.as_str()), (4, BalancerKind::LeastOutstanding, "ada"));
    let entry = fixture.ask(reroute("7", "shop", Change::Set(hosts(&[("e:1", 1.0)])))).await;
    assert_eq!((shown(&entry).as_str(), entry.balancer), ("5 e:1=1", BalancerKind::LeastOutstanding), "as before");
    assert_eq!(does("8", Change::Unset).await, "6");
    for change in [Change::Unset, Change::Remove(vec!["e:1".to_owned()])] {
        let said = fixture.refused(reroute("9", "shop", change)).await;
        let expected =
            "route: service `shop` has no hosts; route it first: `agent load route set shop 127.0.0.1:8080 1`";
        assert_eq!(said, expected);
    }
    let entry = fixture.ask(reroute("10", "shop", Change::Append(hosts(&[("f:1", 1.0)])))).await;
    assert_eq!((shown(&entry).as_str(), entry.balancer), ("7 f:1=1", BalancerKind::default()), "newer than all before");
}

pub async fn a_change_that_is_asked_for_twice_is_made_once(fixture: Fixture) {
    let append = || reroute("key", "shop", Change::Append(hosts(&[("a:1", 1.0)])));
    assert_eq!(shown(&fixture.ask(append()).await), "1 a:1=1");
    assert_eq!(shown(&fixture.ask(append()).await), "1 a:1=1");
    let unset = || reroute("other", "shop", Change::Unset);
    assert_eq!([shown(&fixture.ask(unset()).await), shown(&fixture.ask(unset()).await)], ["2", "2"]);
}

pub async fn who_names_an_old_revision_changes_nothing(fixture: Fixture) {
    let set = |key: &str, host: &str, revision| {
        let change = Change::Set(hosts(&[(host, 1.0)]));
        Reroute { revision: Some(revision), ..reroute(key, "shop", change) }
    };
    assert_eq!(shown(&fixture.ask(set("1", "a:1", 0)).await), "1 a:1=1", "0: there is none");
    assert_eq!(shown(&fixture.ask(set("2", "b:1", 1)).await), "2 b:1=1");
    for old in [0, 1, 3] {
        let said = fixture.refused(set("3", "c:1", old)).await;
        let problem = format!("route: service `shop` is at revision 2, not at {old}; ");
        assert!(said.starts_with(&problem), "{said}");
    }
    let entries = fixture.table.look(Scope::of_all_services()).await.unwrap().entries;
    assert_eq!(shown(&entries["shop"]), "2 b:1=1");
}

pub async fn records_are_looked_at_by_their_services(fixture: Fixture) {
    for service in ["shop", "bank", "Bank"] {
        fixture.ask(reroute(service, service, Change::Set(hosts(&[("a:1", 1.0)])))).await;
    }
    fixture.ask(reroute("gone", "bank", Change::Unset)).await;
    let seen = async |scope: Scope| {
        let entries = fixture.table.look(scope).await.unwrap().entries;
        entries.values().map(|entry| format!("{} {}", entry.service, shown(entry))).collect::<Vec<_>>()
    };
    assert_eq!(seen(Scope::of_services(["shop", "none"])).await, ["shop 1 a:1=1"]);
    assert_eq!(seen(Scope::of_services([])).await, Vec::<String>::new());
    let all = ["Bank 1 a:1=1", "bank 2", "shop 1 a:1=1"];
    assert_eq!(seen(Scope::of_all_services()).await, all, "also those that are routed no more");
}

pub async fn all_records_go_at_once(fixture: Fixture) {
    let flush = |key: &str| Flush { key: key.to_owned(), by: "ada".to_owned() };
    for service in ["shop", "bank"] {
        fixture.ask(reroute(service, service, Change::Set(hosts(&[("a:1", 1.0)])))).await;
    }
    assert_eq!(fixture.ask(flush("key")).await, ["bank", "shop"]);
    assert_eq!(fixture.ask(flush("key")).await, ["bank", "shop"], "said twice it is heard once");
    assert_eq!(fixture.ask(flush("other")).await, Vec::<String>::new());
    let entries = fixture.table.look(Scope::of_all_services()).await.unwrap().entries;
    assert_eq!(entries.values().map(shown).collect::<Vec<_>>(), ["2", "2"]);
}

fn join(name: &str, process: &str) -> Join {
    let labels = Labels::from([("zone".to_owned(), "A".to_owned())]);
    Join { name: name.to_owned(), labels, holder: holder(process), lease: hosts::LEASE }
}

fn beat(name: &str, process: &str, clients: usize) -> Beat {
    let busy = Busy { clients, rate: 2.5, shares: 1 };
    Beat { name: name.to_owned(), holder: holder(process), busy, lease: hosts::LEASE }
}

fn ask(key: &str, hosts: &[&LoadHost]) -> Ask {
    let errand = |host: &&LoadHost| ((*host).clone(), Task::Errand(Errand::Close { service: "größer".to_owned() }));
    Ask { key: key.to_owned(), by: "ada".to_owned(), tasks: hosts.iter().map(errand).collect() }
}

fn answer(order: &Order, text: &str) -> Answer {
    Answer { order: order.clone(), text: text.to_owned() }
}

impl Fixture {
    async fn there(&self) -> Vec<String> {
        let seen = self.table.look(Scope { hosts: Which::All, ..Scope::default() }).await.unwrap();
        seen.hosts_there().map(|host| host.name.clone()).collect()
    }

    async fn orders_of(&self, host: &str) -> Vec<Order> {
        let scope = Scope { orders_of: Which::only(host.to_owned()), ..Scope::default() };
        self.table.look(scope).await.unwrap().orders.into_values().collect()
    }
}

pub async fn a_load_host_is_there_as_long_as_it_says_so(fixture: Fixture) {
    let joined = fixture.ask(join("pico1", "x")).await;
    assert_eq!((joined.joined_at, joined.until), (START, START + hosts::LEASE));
    fixture.ask(join("pico2", "y")).await;
    assert_eq!(fixture.there().await, ["pico1", "pico2"]);
    fixture.clock.advance(hosts::HEARTBEAT * 2);
    assert!(fixture.ask(beat("pico1", "x", 3)).await);
    let seen = fixture.table.look(Scope { hosts: Which::only("pico1".to_owned()), ..Scope::default() }).await.unwrap();
    assert_eq!(seen.hosts.keys().collect::<Vec<_>>(), ["pico1"], "only what is asked for");
    let host = &seen.hosts["pico1"];
    assert_eq!((host.busy.clients, host.labels["zone"].as_str(), host.joined_at), (3, "A", START));
    fixture.clock.advance(hosts::HEARTBEAT);
    assert_eq!(fixture.there().await, ["pico1"], "the other one was not heard of for three heartbeats");
    fixture.ask(Leave { name: "pico1".to_owned(), holder: holder("other") }).await;
    assert_eq!(fixture.there().await, ["pico1"], "only it itself leaves");
    fixture.ask(Leave { name: "pico1".to_owned(), holder: holder("x") }).await;
    assert_eq!(fixture.there().await.len(), 0);
    assert!(!fixture.ask(beat("pico1", "x", 3)).await, "it has left");
}

pub async fn a_load_host_s_name_is_one_process_s_at_a_time(fixture: Fixture) {
    fixture.ask(join("pico1", "x")).await;
    fixture.ask(join("pico1", "x")).await;
    let refused = fixture.refused(join("pico1", "y")).await;
    assert!(refused.contains("load host `pico1` is there already: x; take another name"), "{refused}");
    fixture.clock.advance(hosts::LEASE);
    fixture.ask(join("pico1", "y")).await;
    assert!(!fixture.ask(beat("pico1", "x", 1)).await, "it is another's");
    assert!(fixture.ask(beat("pico1", "y", 1)).await);
}

pub async fn a_load_host_is_asked_and_answers(fixture: Fixture) {
    let (first, second) = (fixture.ask(join("pico1", "x")).await, fixture.ask(join("pico2", "y")).await);
    let asked = fixture.ask(ask("a", &[&first, &second])).await;
    assert_eq!(asked.iter().map(|order| order.host.as_str()).collect::<Vec<_>>(), ["pico1", "pico2"]);
    assert_eq!(fixture.ask(ask("a", &[&first, &second])).await, asked, "the same key");
    let orders = fixture.orders_of("pico1").await;
    assert_eq!(orders, asked[..1], "as it was asked");
    assert_eq!((orders[0].is_done, orders[0].asked_at), (false, START));
    assert_eq!(fixture.table.answer(orders[0].id).await.unwrap(), None);
    assert!(fixture.ask(answer(&orders[0], "{\"did\": \"größer\"}")).await);
    assert!(fixture.ask(answer(&orders[0], "another")).await, "said twice it is heard once");
    assert!(fixture.orders_of("pico1").await[0].is_done);
    assert_eq!(fixture.table.answer(orders[0].id).await.unwrap().as_deref(), Some("{\"did\": \"größer\"}"));
    let too_long = fixture.refused(answer(&asked[1], &"x".repeat(ANSWER_MAX + 1))).await;
    assert!(too_long.contains("is too long"), "{too_long}");
    let long = "y".repeat(2 << 20);
    assert!(fixture.ask(answer(&asked[1], &long)).await);
    assert_eq!(fixture.table.answer(asked[1].id).await.unwrap(), Some(long));
    fixture.ask(Forget { orders: asked.clone() }).await;
    fixture.ask(Forget { orders: asked.clone() }).await;
    assert_eq!((fixture.orders_of("pico1").await.len(), fixture.orders_of("pico2").await.len()), (0, 0));
    assert_eq!(fixture.table.answer(orders[0].id).await.unwrap(), None);
    assert!(!fixture.ask(answer(&orders[0], "late")).await, "nobody waits for it");
    let next = fixture.ask(ask("b", &[&first])).await;
    assert!(next[0].id > asked[1].id, "no number comes twice");
}

pub async fn who_is_gone_is_not_asked_and_the_next_one_does_nothing_of_it(fixture: Fixture) {
    let first = fixture.ask(join("pico1", "x")).await;
    assert_eq!(fixture.ask(ask("a", &[&first])).await.len(), 1);
    fixture.clock.advance(hosts::LEASE);
    assert_eq!(fixture.ask(ask("b", &[&first])).await, [], "it is gone");
    let next = fixture.ask(join("pico1", "y")).await;
    assert_eq!(fixture.orders_of("pico1").await, [], "what the former process was asked");
    assert_eq!(fixture.ask(ask("c", &[&first])).await, [], "it is another process");
    assert_eq!(fixture.ask(ask("d", &[&next])).await.len(), 1);
}

pub async fn what_is_withdrawn_is_seen_to_be(fixture: Fixture) {
    let host = fixture.ask(join("pico1", "x")).await;
    let asked = fixture.ask(ask("a", &[&host])).await;
    fixture.ask(Withdraw { orders: asked.clone() }).await;
    let seen = fixture.orders_of("pico1").await;
    assert_eq!((seen[0].is_withdrawn, seen[0].is_done), (true, false));
    assert!(fixture.ask(answer(&asked[0], "what came of it")).await);
}

pub async fn an_experiment_is_claimed_by_its_number(fixture: Fixture) {
    let (a, b) = (fixture.queue("a").await, fixture.queue("b").await);
    let only = |id| Claim { only: Some(id), ..claim("x") };
    assert_eq!(fixture.ask(only(b)).await.map(|it| it.id), Some(b));
    assert_eq!(fixture.ask(Claim { only: Some(b), ..claim("y") }).await, None, "it is held");
    assert_eq!(fixture.claimed("y").await, Some(a));
}
