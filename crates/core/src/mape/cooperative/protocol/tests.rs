use super::*;
use crate::mape::scene::{self, NOW};

fn protocol() -> Protocol {
    Protocol::new("life", &"response_time <= 35 s".parse().unwrap())
}

fn after(from: Timestamp, seconds: u64) -> Timestamp {
    from + Duration::from_secs(seconds)
}

/// An action comes to this end, which the next look takes note of.
fn end(protocol: &mut Protocol, action: &str, repair: Repair, now: Timestamp) {
    protocol.acting = Some(action.parse().unwrap());
    protocol.ended(repair, &mut scene::rng());
    protocol.note_failures(now);
}

#[test]
fn a_transfer_that_fails_waits_longer_each_time_and_is_then_tried_elsewhere() {
    let (mut protocol, mut now) = (protocol(), NOW);
    for seconds in [5, 10, 20] {
        end(&mut protocol, "C3_1", Repair::Nothing, now);
        let again = after(now, seconds);
        assert_eq!(protocol.retries_at(now), Some(again));
        assert_eq!(protocol.avoided(now).unwritable, BTreeSet::new());
        assert_eq!(protocol.retries_at(again), None, "it is time");
        now = again;
    }
    end(&mut protocol, "C3_1", Repair::Nothing, now);
    assert_eq!(protocol.retries_at(now), None);
    assert_eq!(protocol.avoided(now).unwritable, [NodeId(1)].into());
    assert_eq!(protocol.avoided(after(now, 40)).unwritable, BTreeSet::new());
}

#[test]
fn a_transfer_that_goes_well_forgets_those_that_failed() {
    let mut protocol = protocol();
    end(&mut protocol, "M3_1", Repair::Nothing, NOW);
    end(&mut protocol, "M3_1", Repair::Acted, NOW);
    assert_eq!(protocol.retries_at(NOW), None);
    end(&mut protocol, "M3_1", Repair::Nothing, NOW);
    assert_eq!(protocol.retries_at(NOW), Some(after(NOW, 5)));
}

#[test]
fn what_was_not_begun_and_what_moves_no_bytes_is_held_against_no_node() {
    for (action, repair) in
        [("C3_1", Repair::NotNow), ("C3_1", Repair::Lost), ("CR1", Repair::Nothing), ("E3", Repair::Nothing)]
    {
        let mut protocol = protocol();
        end(&mut protocol, action, repair, NOW);
        assert_eq!(protocol.retries_at(NOW), None, "{action}, {repair:?}");
    }
}

#[test]
fn a_node_that_could_not_be_read_is_left_alone_for_half_a_minute() {
    let mut protocol = protocol();
    protocol.failed(NodeId(3));
    protocol.note_failures(NOW);
    assert_eq!(protocol.avoided(NOW).unreadable, [NodeId(3)].into());
    protocol.note_failures(after(NOW, 29));
    assert_eq!(protocol.avoided(after(NOW, 29)).unreadable, [NodeId(3)].into());
    protocol.note_failures(after(NOW, 30));
    assert_eq!(protocol.avoided(after(NOW, 30)).unreadable, BTreeSet::new());
}

#[test]
fn what_came_back_is_held_ten_times_as_long_each_time() {
    assert_eq!([0, 1, 2, 3].map(|came_back| held_idle(came_back).as_secs()), [20, 200, 2000, 2000]);
}

#[test]
fn where_nobody_is_heard_of_at_once_nothing_is_done_without_the_others_until_they_could_be() {
    let (parameters, experience) = (scene::parameters("response_time <= 35 s"), scene::experience(&[]));
    // Agents 1 to 3, heard of now; this one is the first.
    let mut snapshot = scene::inhabited(scene::snapshot(&[3], &[(1, 1), (2, 1), (3, 1)]), 3);
    let silence = parameters.silence;
    let mut protocol = protocol();
    let mut living = |snapshot: &Snapshot| {
        let view = View { parameters: &parameters, experience: &experience, snapshot, conversation: &[] };
        protocol.note_silence(&view, snapshot.planned());
        protocol.living(&view, snapshot.planned()).map(|(agent, _)| agent.0).collect::<Vec<_>>()
    };
    assert_eq!(living(&snapshot), [1, 2, 3]);
    // The table was away for long, and this agent is the first to be heard of again.
    let back = snapshot.at + silence * 10;
    let hear = |snapshot: &mut Snapshot, agent: u32, at: Timestamp| {
        snapshot.at = at;
        let agents = Arc::make_mut(&mut snapshot.agents);
        agents.get_mut(&AgentId(agent)).expect("it is there").heartbeat_at = Some(at);
    };
    hear(&mut snapshot, 1, back);
    assert_eq!(living(&snapshot), [1, 2, 3], "who knows");
    hear(&mut snapshot, 2, back + silence / 2);
    assert_eq!(living(&snapshot), [1, 2, 3], "there was no time for the third yet");
    snapshot.at = back + silence;
    assert_eq!(living(&snapshot), [1, 2]);
    // Who dies beside others is missed at once.
    hear(&mut snapshot, 3, back + silence * 2);
    assert_eq!(living(&snapshot), [3]);
}
