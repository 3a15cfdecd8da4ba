use super::*;

const NEAR: NodeId = NodeId(1);
const FAR: NodeId = NodeId(2);
const NEW: NodeId = NodeId(3);
const NOW: Timestamp = Timestamp(0);

fn point(latency_ms: f64, seconds: f64) -> Point {
    Point { latency_ms, seconds, load: None }
}

fn latency(latency_ms: f64) -> Conditions {
    Conditions { latency_ms: Estimate::certain(latency_ms), load: None }
}

/// Two nodes that are read in `2 + 0.04 * latency`, give or take 0.1.
fn model() -> DurationModel {
    let at = |node, latency: f64, noise: f64| (node, point(latency, 2.0 + 0.04 * latency + noise));
    DurationModel::new([at(NEAR, 0.0, 0.1), at(NEAR, 0.0, -0.1), at(FAR, 1000.0, 0.1), at(FAR, 1000.0, -0.1)])
}

fn expect(model: &DurationModel, node: NodeId, latency_ms: f64, seconds: f64) {
    let found = model.at(node, &latency(latency_ms), None).unwrap();
    assert!((found.mean - seconds).abs() < 1e-9, "{found:?} instead of {seconds}");
}

#[test]
fn a_node_never_tried_lies_on_the_line() {
    expect(&model(), NEW, 500.0, 22.0);
}

#[test]
fn jobs_at_one_node_say_nothing_of_others() {
    let one = DurationModel::new([(NEAR, point(3.0, 2.0)), (NEAR, point(4.0, 2.1)), (NEAR, point(5.0, 1.9))]);
    assert_eq!(one.at(NEW, &latency(1000.0), None), None);
}

#[test]
fn where_all_but_one_are_apart_nobody_is() {
    let mut model = model();
    for seconds in [90.0, 91.0] {
        model.measured(FAR, point(1000.0, seconds), NOW);
    }
    // Nothing is left of the former line but one node.
    let half_way = model.at(NEW, &latency(500.0), None).expect("something is known");
    assert!((30.0..60.0).contains(&half_way.mean), "{half_way:?}");
}

#[test]
fn a_duration_is_never_negative() {
    let steep = [(NEAR, 1000.0, 2.0), (NEAR, 1000.0, 3.0), (FAR, 1500.0, 30.0), (FAR, 1500.0, 31.0)];
    let model = DurationModel::new(steep.map(|(node, latency, seconds)| (node, point(latency, seconds))));
    let found = model.at(NEW, &latency(0.0), None).unwrap();
    assert_eq!(found.mean, found.deviation, "{found:?}");
}

#[test]
fn one_job_far_off_changes_nothing() {
    let mut model = model();
    let before = model.at(NEW, &latency(500.0), None);
    model.measured(NEAR, point(0.0, 20.0), NOW);
    assert_eq!(model.at(NEW, &latency(500.0), None), before);
    expect(&model, NEAR, 0.0, 2.0);
}

#[test]
fn a_node_that_became_slow_is_known_by_two_jobs_and_leaves_the_line_alone() {
    let mut model = model();
    for latency_ms in [500.0, 500.0] {
        model.measured(NEW, point(latency_ms, 22.0), NOW);
    }
    model.measured(NEW, point(500.0, 44.0), NOW);
    model.measured(NEW, point(500.0, 44.0), NOW);
    // Twice 22 s off the line, shrunk: 44 / (2 + 2).
    expect(&model, NEW, 500.0, 22.0 + 11.0);
    expect(&model, NodeId(4), 500.0, 22.0);
    for _ in 0..8 {
        model.measured(NEW, point(500.0, 44.0), NOW);
    }
    let found = model.at(NEW, &latency(500.0), None).unwrap();
    assert!((39.0..44.0).contains(&found.mean), "{found:?}");
}

#[test]
fn a_node_that_became_as_fast_as_others_again_is_back_on_the_line() {
    let mut model = model();
    let jobs = [44.0, 44.0, 44.0, 22.0, 22.0, 22.0];
    for seconds in jobs {
        model.measured(NEW, point(500.0, seconds), NOW);
    }
    assert!(!model.nodes[&NEW].is_apart);
    expect(&model, NEW, 500.0, 22.0);
}

#[test]
fn a_node_that_was_slow_long_ago_is_worth_another_try_and_a_later_one_if_it_still_is() {
    let mut model = model();
    let hours = |hours: u64| NOW + Duration::from_secs(3600 * hours);
    let slow = |model: &mut DurationModel, at| {
        model.measured(NEW, point(500.0, 44.0), at);
        model.measured(NEW, point(500.0, 44.0), at);
    };
    let believed = |model: &DurationModel, at| {
        let found = model.at(NEW, &latency(500.0), Some(at)).unwrap().mean;
        (found * 1e6).round() / 1e6
    };
    let just_before = |at: Timestamp| Timestamp(at.0 - 1);
    slow(&mut model, NOW);
    assert_eq!((believed(&model, just_before(hours(1))), believed(&model, hours(1))), (33.0, 22.0));
    // It still is: one bad day more changes nothing, the second is believed for twice as long.
    model.measured(NEW, point(500.0, 44.0), hours(1));
    assert_eq!(believed(&model, hours(1)), 22.0);
    model.measured(NEW, point(500.0, 44.0), hours(1));
    assert_eq!((believed(&model, just_before(hours(3))), believed(&model, hours(3))), (33.0, 22.0));
    // It is mended, and soon forgiven the next time.
    model.measured(NEW, point(500.0, 22.0), hours(3));
    assert_eq!(believed(&model, hours(3)), 22.0);
    slow(&mut model, hours(4));
    assert_eq!((believed(&model, just_before(hours(5))), believed(&model, hours(5))), (33.0, 22.0));
}

/// A job of 4 requests in turn that takes 2 s, 4 latencies, and this long for its bytes, give or take 0.01.
#[test]
fn where_two_nodes_are_all_there_is_one_that_became_slower_is_what_it_was_after_an_hour() {
    let (mut model, far) = (model(), point(1000.0, 42.0));
    for seconds in [60.0, 61.0] {
        model.measured(NEAR, point(0.0, seconds), NOW);
    }
    let hour = Duration::from_secs(3600);
    let near = |model: &DurationModel| model.at(NEAR, &latency(0.0), None).expect("it was tried").mean;
    assert!(near(&model) > 50.0, "no line tells it from the other one");
    model.measured(FAR, far, NOW + (hour - Duration::from_secs(1)));
    assert!(near(&model) > 50.0);
    model.measured(FAR, far, NOW + hour);
    assert!((near(&model) - 2.0).abs() < 0.5, "{}", near(&model));
    // It is as slow as it was: for two hours now.
    for seconds in [60.0, 61.0] {
        model.measured(NEAR, point(0.0, seconds), NOW + hour);
    }
    model.measured(FAR, far, NOW + hour * 2);
    assert!(near(&model) > 50.0);
    model.measured(FAR, far, NOW + hour * 3);
    assert!((near(&model) - 2.0).abs() < 0.5, "{}", near(&model));
}

fn counted(latency_ms: f64, transport: f64, noise: f64) -> Point {
    let load = Load { requests: 4.0, transport: Estimate::certain(transport) };
    let seconds = 2.0 + 4e-3 * latency_ms + transport + 0.01 * noise;
    Point { load: Some(load), ..point(latency_ms, seconds) }
}

/// Jobs at nodes 1 to 4, of different latencies and rates, one node after the other.
fn counted_at_four() -> DurationModel {
    let mut model = DurationModel::default();
    for (node, latency_ms, transport) in [(1, 0.0, 0.1), (2, 500.0, 3.0), (3, 1000.0, 0.5), (4, 1500.0, 2.0)] {
        for noise in [1.0, -1.0, 1.0, -1.0] {
            model.measured(NodeId(node), counted(latency_ms, transport, noise), NOW);
        }
    }
    model
}

fn expected(model: &DurationModel, node: u32, of: Point) -> f64 {
    model.at(NodeId(node), &of.conditions(), None).unwrap().mean
}

#[test]
fn a_node_of_another_rate_is_not_apart_from_others() {
    let model = counted_at_four();
    assert!(model.nodes.values().all(|history| !history.is_apart));
    assert!(model.evidence().unwrap() > 1.0);
    let found = expected(&model, 9, counted(800.0, 5.0, 0.0));
    assert!((found - 10.2).abs() < 0.1, "{found}");
    // Where nothing is known of the traffic, there is the line.
    assert!(model.at(NodeId(9), &latency(800.0), None).is_some());
}

#[test]
fn a_node_that_is_slow_for_other_reasons_is_apart() {
    let mut model = counted_at_four();
    let slow = Point { seconds: 20.0, ..counted(800.0, 1.0, 0.0) };
    (0..3).for_each(|_| model.measured(NodeId(5), slow, NOW));
    assert!(model.nodes[&NodeId(5)].is_apart);
    let found = expected(&model, 9, counted(800.0, 5.0, 0.0));
    assert!((found - 10.2).abs() < 0.1, "{found}");
    assert!(expected(&model, 5, slow) > 12.0);
}

#[test]
fn features_are_of_the_jobs_that_are_kept() {
    let mut model = counted_at_four();
    for _ in 0..KEPT_JOBS {
        model.measured(NEAR, counted(0.0, 0.1, 1.0), NOW);
    }
    let kept = model.nodes.iter().flat_map(|(node, history)| history.points.iter().map(|point| (*node, *point)));
    let anew = DurationModel::new(kept.collect::<Vec<_>>());
    let of = counted(800.0, 5.0, 0.0);
    let difference = expected(&model, 9, of) - expected(&anew, 9, of);
    assert!(difference.abs() < 1e-6, "{difference}");
}

#[test]
fn a_nodes_history_is_bounded() {
    let mut model = model();
    for _ in 0..100 {
        model.measured(NEAR, point(0.0, 2.0), NOW);
    }
    assert_eq!(model.nodes[&NEAR].points.len(), KEPT_JOBS);
}
