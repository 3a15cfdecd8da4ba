//! What a job asked of a store, and what came.

use serde::{Deserialize, Serialize};

/// One job's traffic, counted at its own end of the link, in real bytes and real time: rates are never scaled.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    pub requests: u64,
    /// So many of them, at most, waited for their answers to begin at the same time.
    pub parallel: u64,
    pub bytes: u64,
    /// How long the job stood still for bytes of answers that had begun \[s\].
    pub stalled_s: f64,
    /// Records that it read from them.
    pub records: u64,
}

impl Traffic {
    /// Requests that waited for each other: each of these takes the link's latency.
    pub fn chain(&self) -> f64 {
        self.requests as f64 / self.parallel as f64
    }

    /// What a byte took to come \[s\].
    pub fn slowness(&self) -> f64 {
        self.stalled_s / self.bytes as f64
    }

    pub fn bytes_per_record(&self) -> f64 {
        self.bytes as f64 / self.records as f64
    }

    /// Whether anything follows from it: nothing does from none, and anybody may edit a file.
    pub fn makes_sense(&self) -> bool {
        let all = [self.requests, self.parallel, self.bytes, self.records];
        all.iter().all(|count| *count > 0) && self.stalled_s.is_finite() && self.stalled_s >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_from_it_are_ratios() {
        let traffic = Traffic { requests: 36, parallel: 8, bytes: 1_000, stalled_s: 2.0, records: 10 };
        assert!(traffic.makes_sense());
        assert_eq!((traffic.chain(), traffic.slowness(), traffic.bytes_per_record()), (4.5, 0.002, 100.0));
        for nonsense in [
            Traffic { requests: 0, ..traffic },
            Traffic { parallel: 0, ..traffic },
            Traffic { bytes: 0, ..traffic },
            Traffic { records: 0, ..traffic },
            Traffic { stalled_s: -1.0, ..traffic },
            Traffic { stalled_s: f64::NAN, ..traffic },
        ] {
            assert!(!nonsense.makes_sense(), "{nonsense:?}");
        }
    }
}
