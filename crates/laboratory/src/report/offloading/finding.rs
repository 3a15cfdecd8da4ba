//! What the runs say, in numbers and in words.

use super::{Point, by_threshold, latency, passed_over, served};
use crate::report::number::{Unit, digits};
use crate::report::statistics::{Bootstrap, Estimate};

/// What a threshold bears, and what that costs.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// Share of a server's CPU, 0 to 1.
    pub cpu_threshold: f64,
    /// Where the fewest servers fail.
    pub undisturbed: State,
    /// The largest share of failures at which everybody is served, as at all smaller ones, in every run; `None`: at none.
    pub bears: Option<State>,
    /// The next share of failures.
    pub beyond: Option<State>,
}

/// How users fare at a share of failures.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct State {
    /// Share of the servers, 0 to 1.
    pub failures: f64,
    pub served: Option<Estimate>,
    /// Of those who are served.
    pub latency_ms: Option<Estimate>,
    /// Servers, for each user.
    pub passed_over: Option<Estimate>,
}

impl State {
    fn of(point: &Point, bootstrap: &mut Bootstrap) -> Self {
        Self {
            failures: point.failures,
            served: point.mean(bootstrap, served),
            latency_ms: point.mean(bootstrap, latency),
            passed_over: point.mean(bootstrap, passed_over),
        }
    }
}

/// In the order of thresholds.
pub fn findings(points: &[Point], bootstrap: &mut Bootstrap) -> Vec<Finding> {
    let finding = |points: &[Point]| {
        let (well, rest) = points.split_at(points.iter().take_while(|point| point.serves_all()).count());
        let first = points.first()?;
        Some(Finding {
            cpu_threshold: first.cpu_threshold,
            undisturbed: State::of(first, bootstrap),
            bears: well.last().map(|point| State::of(point, bootstrap)),
            beyond: rest.first().map(|point| State::of(point, bootstrap)),
        })
    };
    by_threshold(points).filter_map(finding).collect()
}

/// Which threshold bears how much, and what it costs; none of nothing.
pub fn sentences(findings: &[Finding]) -> Vec<String> {
    [bearing(findings), failing(findings), growing(findings), costing(findings)].into_iter().flatten().collect()
}

fn share(share: f64) -> String {
    Unit::Share.show(share)
}

fn bearing(findings: &[Finding]) -> Option<String> {
    let borne = |finding: &Finding| {
        let State { failures, .. } = finding.bears?;
        Some(format!("{} with a threshold of {}", share(failures), share(finding.cpu_threshold)))
    };
    let borne: Vec<String> = findings.iter().filter_map(borne).collect();
    let told = format!("Everybody is served while at most so many servers fail: {}.", borne.join(", "));
    (!borne.is_empty()).then_some(told)
}

fn failing(findings: &[Finding]) -> Option<String> {
    let failing = |finding: &Finding| {
        let State { failures, served, .. } = finding.undisturbed;
        let served = served.filter(|_| finding.bears.is_none())?;
        let (threshold, failures) = (share(finding.cpu_threshold), share(failures));
        Some(format!("with a threshold of {threshold} only {} are while {failures} fail", share(served.mean)))
    };
    let failing: Vec<String> = findings.iter().filter_map(failing).collect();
    (!failing.is_empty()).then(|| format!("Not everybody is served: {}.", failing.join(", ")))
}

/// What failures cost those who are all served.
fn growing(findings: &[Finding]) -> Option<String> {
    let grown = |finding: &Finding| {
        let bears = finding.bears.filter(|bears| bears.failures > finding.undisturbed.failures)?;
        let (from, to) = (finding.undisturbed.latency_ms?.mean, bears.latency_ms?.mean);
        let threshold = share(finding.cpu_threshold);
        Some(format!("from {} to {} with {threshold}", Unit::Milliseconds.show(from), Unit::Milliseconds.show(to)))
    };
    let grown: Vec<String> = findings.iter().filter_map(grown).collect();
    (!grown.is_empty()).then(|| format!("Up to there the mean latency goes {}.", grown.join(", ")))
}

/// What the lowest threshold costs beside the highest.
fn costing(findings: &[Finding]) -> Option<String> {
    let [lowest, .., highest] = findings else { return None };
    let (low, high) = (lowest.undisturbed, highest.undisturbed);
    // Of users who are not all served only the first ones would be compared.
    (lowest.bears.and(highest.bears).is_some() && low.failures == high.failures).then_some(())?;
    let (low_ms, high_ms) = (low.latency_ms?.mean, high.latency_ms?.mean);
    let ratio = low_ms / high_ms;
    let compared = match ratio {
        _ if !ratio.is_finite() || (ratio - 1.0).abs() < 0.0005 => "as much as".to_owned(),
        _ if ratio > 1.0 => format!("{} more than", share(ratio - 1.0)),
        _ => format!("{} less than", share(1.0 - ratio)),
    };
    Some(format!(
        "While {} fail, a threshold of {} means {} of latency, {compared} one of {} ({}); servers passed over for each user: {} \
         instead of {}.",
        share(low.failures),
        share(lowest.cpu_threshold),
        Unit::Milliseconds.show(low_ms),
        share(highest.cpu_threshold),
        Unit::Milliseconds.show(high_ms),
        digits(low.passed_over?.mean),
        digits(high.passed_over?.mean),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::points;
    use super::super::tests::runs;
    use super::*;

    fn told(cpu_thresholds: &[f64], failures: &[f64]) -> Vec<String> {
        let runs = runs(cpu_thresholds, failures);
        let findings = findings(&points(&runs), &mut Bootstrap::default());
        sentences(&findings).iter().map(|sentence| sentence.replace('\u{a0}', " ")).collect()
    }

    #[test]
    fn what_is_borne_ends_where_somebody_is_not_served() {
        let runs = runs(&[0.25, 0.5, 1.0], &[0.0, 0.25, 0.5, 0.75]);
        let findings = findings(&points(&runs), &mut Bootstrap::default());
        let of = |finding: &Finding| {
            let failures = |state: Option<State>| state.map(|state| state.failures);
            (finding.cpu_threshold, failures(finding.bears), failures(finding.beyond))
        };
        let expected = [(0.25, None, Some(0.0)), (0.5, Some(0.0), Some(0.25)), (1.0, Some(0.5), Some(0.75))];
        assert_eq!(findings.iter().map(of).collect::<Vec<_>>(), expected);
        let beyond = findings[2].beyond.unwrap();
        assert_eq!((beyond.served.unwrap().mean, beyond.passed_over.unwrap().mean), (0.5, 1.5));
    }

    #[test]
    fn a_single_run_that_does_not_serve_everybody_counts() {
        let mut runs = runs(&[1.0], &[0.0, 0.25]);
        runs[1].served_share = 0.98;
        let findings = findings(&points(&runs), &mut Bootstrap::default());
        assert_eq!(findings[0].bears.map(|state| state.failures), Some(0.0));
    }

    #[test]
    fn it_is_said_what_is_borne_and_what_that_costs() {
        let expected = [
            "Everybody is served while at most so many servers fail: 0 % with a threshold of 50 %, 50 % with a threshold of 100 %.",
            "Up to there the mean latency goes from 1.2 ms to 1.7 ms with 100 %.",
            "While 0 % fail, a threshold of 50 % means 1.7 ms of latency, 41.7 % more than one of 100 % (1.2 ms); servers passed over for \
             each user: 1 instead of 0.",
        ];
        assert_eq!(told(&[0.5, 1.0], &[0.0, 0.25, 0.5, 0.75]), expected);
    }

    #[test]
    fn where_not_everybody_is_served_latencies_are_not_compared() {
        let expected = [
            "Everybody is served while at most so many servers fail: 50 % with a threshold of 100 %.",
            "Not everybody is served: with a threshold of 20 % only 20 % are while 50 % fail.",
        ];
        assert_eq!(told(&[0.2, 1.0], &[0.5]), expected);
        assert_eq!(told(&[], &[]), Vec::<String>::new());
    }
}
