use super::*;
use crate::domain::ids::ReplicaId;
use crate::mape::scene;

const MORNING: Timestamp = Timestamp(7 * 3_600_000);

fn constraints(toml_like_json: &str) -> Constraints {
    serde_json::from_str(toml_like_json).unwrap()
}

/// What is said of an action; nodes 1, 2 and 3 are in regions `eu`, `us` and none.
#[track_caller]
fn check(nodes: &[u32], written: &str, action: &str, expected: &str) {
    let mut snapshot = scene::snapshot(nodes, &[(1, 1)]);
    let all = std::sync::Arc::make_mut(&mut snapshot.nodes);
    for (node, region) in [(1, "eu"), (2, "us")] {
        all.get_mut(&NodeId(node)).unwrap().labels.insert("region".to_owned(), region.to_owned());
    }
    snapshot.data_set.guard.constraints = constraints(written);
    let action: Action = action.parse().unwrap();
    let destination = action.to_node().and_then(|node| snapshot.nodes.get(&node));
    let said = snapshot.data_set.guard.forbids(destination, &snapshot.placement, action, MORNING);
    assert_eq!(said.map(|why| why.to_string()).unwrap_or_default(), expected, "{written}: {action}");
}

#[test]
fn data_does_not_leave() {
    let eu = r#"{"must_not":{"labels":"region!=eu"}}"#;
    check(&[3], eu, "M3_1", "");
    check(&[1], eu, "M1_2", "must_not: no replica may lie on node 2, whose labels match `region!=eu`");
    check(&[1], eu, "C1_3", "must_not: no replica may lie on node 3, whose labels match `region!=eu`");
    // What lies there already may be read, and go.
    check(&[1, 2], eu, "CR2", "");
    check(&[1, 2], eu, "E2", "");
    check(&[1, 2], eu, "M1_2", "");
}

#[test]
fn what_must_stay_stays() {
    for (written, why) in [(r#"{"must":[1]}"#, "must"), (r#"{"never_delete_at":[1]}"#, "never_delete_at")] {
        let said = format!("{why}: the replica on node 1 stays");
        check(&[1, 2], written, "M1_3", &said);
        check(&[1, 2], written, "M1_2", &said);
        check(&[1, 2], written, "E1", &said);
        check(&[1, 2], written, "C1_3", "");
        check(&[1, 2], written, "M2_3", "");
        check(&[1, 2], written, "E2", "");
    }
}

#[test]
fn there_are_neither_fewer_nor_more_than_stated() {
    let two = r#"{"min_replicas":2,"max_replicas":2}"#;
    check(&[1, 2], two, "E1", "min_replicas: there are no more than 2 replicas");
    check(&[1, 2], two, "M1_2", "min_replicas: there are no more than 2 replicas");
    check(&[1, 2], two, "M1_3", "");
    check(&[1, 2], two, "C1_3", "max_replicas: there are 2 replicas already");
    check(&[1, 2], two, "C1_2", "");
    check(&[1], two, "C1_3", "");
    check(&[1, 2, 3], two, "E1", "");
}

#[test]
fn a_place_is_kept_for_whom_one_is_demanded() {
    let two = r#"{"must":[2],"max_replicas":2}"#;
    check(&[1], two, "C1_3", "max_replicas: what is left of 2 replicas is for nodes of `must`");
    check(&[1], two, "C1_2", "");
    check(&[1], two, "M1_3", "");
    check(&[1], two, "R1_2", "");
    check(&[1, 3], two, "R1_2", "max_replicas: there are 2 replicas already");
    check(&[1, 3], two, "M1_2", "");
    check(&[1, 2], two, "R1_2", "");
    // What is demanded for their number takes the place until it is demanded elsewhere.
    check(&[1], r#"{"must":[2],"min_replicas":2,"max_replicas":2}"#, "R1_3", "");
}

#[test]
fn what_is_refreshed_is_one_replica() {
    let two = r#"{"max_replicas":2}"#;
    let forbids = |replicas: &[u32]| {
        let mut placement = scene::snapshot(replicas, &[(1, 1)]).placement.clone();
        placement.replicas.values_mut().last().unwrap().state = ReplicaState::Copying;
        let guard = Guard { constraints: constraints(two), paused_until: None };
        guard.forbids(None, &placement, "C1_3".parse().unwrap(), MORNING)
    };
    assert_eq!(forbids(&[1, 1]), None);
    assert_eq!(forbids(&[1, 2]), Some(Forbidden::TooMany(2)));
}

#[test]
fn bytes_travel_when_they_may() {
    let nights = r#"{"transfers":{"between":"22:00-06:00"}}"#;
    check(&[1], nights, "M1_2", "transfers: only 22:00-06:00, in 15 h 0 min");
    check(&[1, 2], nights, "CR2", "");
    check(&[1, 2], nights, "E1", "");
    check(&[1], r#"{"transfers":{"between":"06:00-22:00"}}"#, "M1_2", "");
}

#[test]
fn whatever_is_paused_rests() {
    let mut snapshot = scene::snapshot(&[1, 2], &[(1, 1)]);
    snapshot.data_set.guard.paused_until = Some(Timestamp(5));
    let forbids =
        |now| snapshot.data_set.guard.forbids(None, &snapshot.placement, "E2".parse().unwrap(), Timestamp(now));
    assert_eq!((forbids(4), forbids(5)), (Some(Forbidden::Paused), None));
    assert_eq!(snapshot.data_set.guard.forbids(None, &snapshot.placement, Action::Nothing, Timestamp(4)), None);
}

#[test]
fn a_window_may_go_over_midnight() {
    let is_open = |window: &str, at: &str| {
        let (hours, minutes) = at.split_once(':').unwrap();
        let minutes = hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap();
        window.parse::<DailyWindow>().unwrap().is_open(Timestamp(3 * DAY_MS + minutes * MINUTE_MS))
    };
    for (at, expected) in [("21:59", false), ("22:00", true), ("00:00", true), ("05:59", true), ("06:00", false)] {
        assert_eq!(is_open("22:00-06:00", at), expected, "{at}");
        assert_eq!(is_open("06:00-22:00", at), !expected, "{at}");
    }
    let opens = |at: i64| "22:00-06:00".parse::<DailyWindow>().unwrap().opens(Timestamp(at));
    assert_eq!((opens(0), opens(DAY_MS - 1)), (Timestamp(22 * 3_600_000), Timestamp(DAY_MS + 22 * 3_600_000)));
    let window: DailyWindow = "22:00-06:00".parse().unwrap();
    assert_eq!(window.seen_from(Timestamp(DAY_MS + 23 * 3_600_000)).to_string(), "23:00-07:00");
    for wrong in ["", "22:00", "22-06", "24:00-06:00", "22:60-06:00", "6:00-7:00", "06:00-06:00", "+1:00-06:00"] {
        let error = wrong.parse::<DailyWindow>().unwrap_err().to_string();
        assert!(error.contains("write it like `22:00-06:00`"), "{wrong}: {error}");
    }
}

#[test]
fn a_set_of_nodes_is_allowed_when_it_makes_nothing_more_wrong() {
    let set = |nodes: &[u32]| nodes.iter().copied().map(NodeId).collect::<BTreeSet<_>>();
    let allow = |written: &str, present: &[u32], then: &[u32]| constraints(written).allow(&set(present), &set(then));
    let written = r#"{"min_replicas":2,"max_replicas":3,"must":[1]}"#;
    assert!(allow(written, &[1, 2], &[1, 3]));
    assert!(!allow(written, &[1, 2], &[2, 3]), "node 1 keeps its own");
    assert!(!allow(written, &[1, 2], &[1]));
    assert!(allow(written, &[2], &[2]), "one more comes, but not because of a goal");
    assert!(!allow(written, &[1, 2, 3], &[1, 2, 3, 4]));
    assert!(allow(written, &[1, 2, 3, 4], &[1, 2, 3, 5]));
    // One of three places is node 1's.
    assert!(!allow(written, &[2, 3], &[2, 3, 4]));
    assert!(allow(written, &[2, 3], &[1, 2, 3]));
    assert!(allow(written, &[2, 3, 4], &[2, 3, 5]));
}

#[test]
fn what_is_missing_is_wanted() {
    let wants = |written: &str, nodes: &[u32], node: u32| {
        constraints(written).wants_at(&scene::snapshot(nodes, &[]).placement, NodeId(node))
    };
    assert!(wants(r#"{"must":[3]}"#, &[1], 3));
    assert!(!wants(r#"{"must":[3]}"#, &[1], 2));
    assert!(!wants(r#"{"must":[3]}"#, &[3], 3));
    assert!(wants(r#"{"min_replicas":2}"#, &[1], 2));
    assert!(!wants(r#"{"min_replicas":2}"#, &[1, 3], 2));
    let mut placement = scene::snapshot(&[1, 3], &[]).placement.clone();
    placement.replicas.get_mut(&ReplicaId(2)).unwrap().state = ReplicaState::Copying;
    assert!(!constraints(r#"{"min_replicas":2}"#).wants_more(&placement), "it is on its way");
    placement.replicas.get_mut(&ReplicaId(2)).unwrap().state = ReplicaState::Removing;
    assert!(constraints(r#"{"min_replicas":2}"#).wants_more(&placement));
}

#[test]
fn what_is_not_met_is_told() {
    let snapshot = scene::snapshot(&[1], &[]);
    let unmet = |written: &str| constraints(written).unmet(&snapshot.nodes, &snapshot.placement);
    assert_eq!(unmet(r#"{"must":[1],"min_replicas":1,"must_not":{"labels":"region=us"}}"#), [""; 0]);
    let all = unmet(r#"{"must":[2],"min_replicas":2,"must_not":{"labels":"region!=eu"}}"#);
    let expected = [
        "node 2 holds no replica, and has to (must)",
        "there are 1 replicas of at least 2 (min_replicas)",
        "node 1 holds a replica, and should not (must_not)",
    ];
    assert_eq!(all, expected);
}

#[test]
fn they_are_kept_as_they_are_written() {
    let all = r#"{"must_not":{"labels":"region!=eu"},"must":[1],"never_delete_at":[2],"min_replicas":2,"max_replicas":3,"transfers":{"between":"22:00-06:00"}}"#;
    assert_eq!(serde_json::to_string(&constraints(all)).unwrap(), all);
    assert!(constraints("{}").is_none());
    assert_eq!(serde_json::to_string(&Constraints::default()).unwrap(), "{}");
    assert!(serde_json::from_str::<Constraints>(r#"{"most":1}"#).is_err());
}
