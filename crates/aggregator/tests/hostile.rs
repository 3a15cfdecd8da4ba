//! Random and damaged datagrams at the machines of aggregator and reader: nothing panics, nothing grows without a bound, and
//! the next good one is answered. `cargo bench -p agent-aggregator --bench hostile` sends a million.

mod hostile_datagrams;

use agent_aggregator::udsmp::{Dialect, LIST_MAX_BYTES, LIST_MAX_DATAGRAMS};
use agent_aggregator::{Aggregator, Collector, EMITTERS_MAX, HISTORY_MAX, Policy, Progress};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, SystemTime};

const DATAGRAMS: u32 = 20_000;

fn check_aggregator(dialect: Dialect) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut aggregator = Aggregator::new(Policy { dialect, ..Policy::default() });
    let mut accepted = 0;
    for number in 0..DATAGRAMS {
        let now = Duration::from_millis(number.into());
        accepted += u64::from(aggregator.take_in(&hostile_datagrams::next(&mut rng), now).is_ok());
        let answered = aggregator.answer(&hostile_datagrams::next(&mut rng), now);
        assert!(answered.len() <= LIST_MAX_DATAGRAMS, "{}", answered.len());
        assert!(answered.iter().all(|datagram| datagram.len() <= LIST_MAX_BYTES));
    }
    let now = Duration::from_millis(DATAGRAMS.into());
    let view = aggregator.view(now, SystemTime::UNIX_EPOCH);
    assert!(view.emitters.len() <= EMITTERS_MAX, "{}", view.emitters.len());
    let series = view.emitters.iter().flat_map(|emitter| emitter.metrics.values());
    assert!(series.into_iter().all(|series| (1..=HISTORY_MAX).contains(&series.len())));
    let refused: u64 = view.counts.refused.values().sum();
    assert_eq!((view.counts.accepted, refused), (accepted, u64::from(DATAGRAMS) - accepted));
    assert_eq!(view.counts.answered + view.counts.misunderstood, u64::from(DATAGRAMS));
    assert!(accepted > 0 && refused > 0 && view.counts.answered > 0 && view.counts.misunderstood > 0, "{view:?}");
    aggregator.take_in(b"cpu{value=30.00, host=next}", now).expect("a good one");
    let expected = match dialect {
        Dialect::Specified => "[cpu: 30.00]",
        Dialect::Compatible => "[CPU: 30.0]",
    };
    assert_eq!(aggregator.answer(b"GET_EMITTER next", now), [expected]);
}

#[test]
fn an_aggregator_outlives_what_is_sent_to_it() {
    check_aggregator(Dialect::Specified);
    check_aggregator(Dialect::Compatible);
}

#[test]
fn a_reader_outlives_what_is_sent_to_it() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut collector = Collector::default();
    let (mut ended, mut longest, mut length) = (0, 0, 0);
    for _ in 0..DATAGRAMS {
        length += 1;
        match collector.take(&hostile_datagrams::next(&mut rng)) {
            Progress::More => {}
            Progress::Done(_) | Progress::Error(_) | Progress::Unreadable => {
                collector = Collector::default();
                ended += 1;
                longest = length.max(longest);
                length = 0;
            }
        }
    }
    assert!(ended > 0 && longest <= LIST_MAX_DATAGRAMS, "{ended} {longest}");
    let Progress::Done(answer) = Collector::default().take(b"[Node_1]") else { panic!("a good one") };
    assert_eq!(answer.entries, ["Node_1"]);
}
