use super::*;
use proptest::prelude::*;

const SERVICE: &str = "shop";

fn record(hosts: &[(&str, f64)], revision: u64) -> Record {
    let hosts = hosts.iter().map(|(address, weight)| Host::new(format!("{address}:80"), *weight)).collect();
    Record::new(SERVICE, hosts, revision).unwrap()
}

fn balancer(kind: BalancerKind, hosts: &[(&str, f64)]) -> Balancer {
    Balancer::new(kind, record(hosts, 1), 1)
}

/// How many of so many choices fall on each of the names.
fn counts<const N: usize>(balancer: &mut Balancer, choices: usize, names: [&str; N]) -> [usize; N] {
    let chosen: Vec<Arc<str>> = (0..choices).map(|_| balancer.choose().host).collect();
    names.map(|name| chosen.iter().filter(|address| ***address == *format!("{name}:80")).count())
}

#[test]
fn a_hundred_turns_are_shared_as_the_weights_say() {
    let mut balancer = balancer(BalancerKind::WeightedRoundRobin, &[("a", 1.0), ("b", 4.0), ("c", 5.0)]);
    for (count, expected) in counts(&mut balancer, 100, ["a", "b", "c"]).into_iter().zip([10, 40, 50_usize]) {
        assert!(count.abs_diff(expected) <= 1, "{count} instead of {expected}");
    }
}

#[test]
fn turns_go_on_when_a_host_comes() {
    let mut balancer = balancer(BalancerKind::WeightedRoundRobin, &[("a", 1.0), ("b", 1.0)]);
    assert_eq!(&*balancer.choose().host, "a:80");
    assert!(balancer.change(record(&[("a", 1.0), ("b", 1.0), ("c", 2.0)], 2)));
    let order: Vec<String> = (0..4).map(|_| balancer.choose().host.replace(":80", "")).collect();
    assert_eq!(order, ["b", "c", "c", "a"], "b is owed a turn, and begins");
}

#[test]
fn turns_of_a_host_that_went_are_shared_by_the_others() {
    let mut balancer = balancer(BalancerKind::WeightedRoundRobin, &[("a", 1.0), ("b", 4.0), ("c", 5.0)]);
    counts(&mut balancer, 37, ["a"]);
    assert!(balancer.change(record(&[("a", 1.0), ("b", 4.0)], 2)));
    for (count, expected) in counts(&mut balancer, 100, ["a", "b", "c"]).into_iter().zip([20, 80, 0_usize]) {
        assert!(count.abs_diff(expected) <= 1, "{count} instead of {expected}");
    }
}

#[test]
fn other_weights_of_another_scale_act_at_once() {
    let mut balancer = balancer(BalancerKind::WeightedRoundRobin, &[("a", 1e6), ("b", 2e6)]);
    counts(&mut balancer, 50, ["a"]);
    assert!(balancer.change(record(&[("a", 1.0), ("b", 1.0)], 2)));
    let [a, b] = counts(&mut balancer, 10, ["a", "b"]);
    assert!(a.abs_diff(5) <= 1 && a + b == 10, "{a} and {b}");
}

#[test]
fn what_is_outstanding_stays_with_its_host_through_every_change() {
    let mut balancer = balancer(BalancerKind::LeastOutstanding, &[("a", 1.0), ("b", 1.0)]);
    assert_eq!(counts(&mut balancer, 4, ["a", "b"]), [2, 2]);
    assert!(balancer.change(record(&[("b", 1.0), ("c", 1.0)], 2)));
    assert_eq!(["a:80", "b:80", "c:80"].map(|host| balancer.outstanding(host)), [2, 2, 0]);
    assert_eq!(counts(&mut balancer, 2, ["a", "b", "c"]), [0, 0, 2], "c has nothing to do yet");
    balancer.ended("a:80");
    assert!(balancer.change(record(&[("a", 1.0), ("b", 1.0), ("c", 1.0)], 3)));
    assert_eq!(balancer.outstanding("a:80"), 1, "who comes back is still busy with one");
    for _ in 0..3 {
        balancer.ended("a:80");
    }
    assert_eq!(balancer.outstanding("a:80"), 0, "more ends than requests are none");
}

#[test]
fn a_weight_of_zero_drains_a_host_in_every_kind() {
    for kind in BalancerKind::ALL {
        let mut balancer = balancer(kind, &[("a", 3.0), ("b", 1.0)]);
        balancer.choose();
        assert!(balancer.change(record(&[("a", 0.0), ("b", 1.0)], 2)));
        assert_eq!(counts(&mut balancer, 20, ["a", "b"]), [0, 20], "{kind}");
        assert_eq!(balancer.choose().index, 1, "{kind}: counted in the record, not among those who take requests");
    }
}

#[test]
fn what_is_no_newer_or_of_another_service_changes_nothing() {
    let mut balancer = balancer(BalancerKind::WeightedRoundRobin, &[("a", 1.0)]);
    assert!(!balancer.change(record(&[("b", 1.0)], 1)));
    let other = Record::new("other", vec![Host::new("b:80", 1.0)], 9).unwrap();
    assert!(!balancer.change(other));
    assert_eq!((balancer.record().revision(), &*balancer.choose().host), (1, "a:80"));
}

#[test]
fn the_nearest_below_its_threshold_is_followed_as_conditions_change() {
    let mut balancer = balancer(BalancerKind::NearestBelow, &[("near", 1.0), ("far", 1.0)]).with_cpu_threshold(0.5);
    let mut observe = |cpu: f64| {
        balancer.observe("near:80", Condition { latency_ms: 1.0, cpu });
        balancer.observe("far:80", Condition { latency_ms: 20.0, cpu: 0.1 });
        (balancer.choose().host.to_string(), balancer.violations())
    };
    assert_eq!(observe(0.4), ("near:80".to_owned(), 0));
    assert_eq!(observe(0.5), ("far:80".to_owned(), 1));
    assert_eq!(observe(0.1), ("near:80".to_owned(), 1));
    assert!(balancer.change(record(&[("far", 1.0), ("new", 1.0), ("near", 2.0)], 2)));
    assert_eq!(&*balancer.choose().host, "near:80", "conditions outlive a change");
}

proptest! {
    /// Through every change each host gets its share of the requests of its own time in the record, never two less or more.
    #[test]
    fn turns_are_fair_to_those_who_come_and_go(
        changes in prop::collection::vec((prop::collection::vec(prop::option::of(1..6u8), 5), 0..12usize), 1..40),
    ) {
        let mut balancer = balancer(BalancerKind::WeightedRoundRobin, &[("h0", 1.0)]);
        let mut owed: BTreeMap<String, f64> = BTreeMap::from([("h0:80".to_owned(), 0.0)]);
        for (revision, (weights, choices)) in (2..).zip(changes) {
            let named = weights.iter().enumerate().filter_map(|(index, weight)| Some((index, (*weight)?)));
            let hosts = named.map(|(index, weight)| Host::new(format!("h{index}:80"), f64::from(weight))).collect();
            if let Ok(record) = Record::new(SERVICE, hosts, revision) {
                prop_assert!(balancer.change(record));
            }
            let hosts = balancer.record().hosts().to_vec();
            let total: f64 = hosts.iter().map(|host| host.weight).sum();
            let of_host = |host: &Host| (host.address.clone(), owed.get(&host.address).copied().unwrap_or(0.0));
            owed = hosts.iter().map(of_host).collect();
            for _ in 0..choices {
                hosts.iter().for_each(|host| *owed.get_mut(&host.address).unwrap() += host.weight / total);
                *owed.get_mut(&*balancer.choose().host).unwrap() -= 1.0;
                prop_assert!(owed.values().all(|owed| owed.abs() < 2.0), "{owed:?}");
            }
        }
    }
}

/// What happens to a balancer.
#[derive(Clone, Debug)]
enum Event {
    Choose,
    /// The oldest request that has not ended.
    End,
    /// Weights of the hosts h0, h1, ...; `None`: not in the record.
    Change(Vec<Option<u8>>),
}

fn event() -> impl Strategy<Value = Event> {
    let weights = prop::collection::vec(prop::option::of(0..6u8), 5);
    prop_oneof![4 => Just(Event::Choose), 2 => Just(Event::End), 1 => weights.prop_map(Event::Change)]
}

proptest! {
    /// Whatever happens: a request goes to a host that takes requests now, and what is outstanding is what was sent and has
    /// not ended.
    #[test]
    fn requests_go_to_hosts_of_the_record_and_are_all_accounted_for(
        kind in prop::sample::select(&BalancerKind::ALL[..]),
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut balancer = balancer(kind, &[("h0", 1.0)]);
        let mut open: Vec<Arc<str>> = Vec::new();
        for (step, event) in events.into_iter().enumerate() {
            match event {
                Event::Choose => {
                    let chosen = balancer.choose();
                    let host = &balancer.record().hosts()[chosen.index];
                    prop_assert_eq!(&*chosen.host, host.address.as_str());
                    prop_assert!(host.weight > 0.0);
                    open.push(chosen.host);
                }
                Event::End if open.is_empty() => {}
                Event::End => balancer.ended(&open.remove(0)),
                Event::Change(weights) => {
                    let named = weights.iter().enumerate().filter_map(|(index, weight)| Some((index, (*weight)?)));
                    let hosts = named.map(|(index, weight)| Host::new(format!("h{index}:80"), f64::from(weight))).collect();
                    // One in which nobody takes requests is refused.
                    if let Ok(record) = Record::new(SERVICE, hosts, step as u64 + 2) {
                        prop_assert!(balancer.change(record));
                    }
                }
            }
            for index in 0..5 {
                let address = format!("h{index}:80");
                let expected = open.iter().filter(|sent| ***sent == *address).count();
                prop_assert_eq!(balancer.outstanding(&address), expected as u64, "{}", address);
            }
        }
    }
}
