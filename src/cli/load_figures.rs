//! What the requests of a load came to, for people.

use agent_load::generator::{Counted, Figures, Times};
use std::collections::BTreeMap;

/// First of all whether it was the load that was meant; `also` is what else has to be known before the figures.
pub(super) fn lines(title: &str, also: Vec<String>, figures: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    let shortfall = figures.shortfall().map(|shortfall| format!("NOT AS INTENDED: {shortfall}"));
    lines.extend(shortfall.iter().flat_map(|shortfall| shortfall.lines()).map(str::to_owned));
    lines.extend(also);
    lines.push(format!("{title}: {}", counted(&figures.counted)));
    lines.push(format!(
        "{:.1} requests/s intended for {:.1} s, {:.1}/s answered in {:.1} s",
        figures.rate_intended, figures.planned_s, figures.rate_achieved, figures.lasted_s
    ));
    lines.extend([String::new(), heading()]);
    lines.extend(times("all, as users wait", figures.response_ms.as_ref()));
    lines.extend(times("all, from sending", figures.service_ms.as_ref()));
    lines.extend(by_service(figures));
    lines
}

fn by_service(figures: &Figures) -> Vec<String> {
    let mut lines = Vec::new();
    for service in &figures.services {
        lines.extend(times(&service.service, service.response_ms.as_ref()));
        for host in &service.hosts {
            lines.extend(times(&format!("  {}", host.host), host.response_ms.as_ref()));
        }
    }
    let told = |name: &str, errors: &BTreeMap<&'static str, u64>| {
        let errors: Vec<String> = errors.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        (!errors.is_empty()).then(|| format!("errors of {name}: {}", errors.join(", ")))
    };
    lines.extend(figures.services.iter().filter_map(|service| told(&service.service, &service.counted.errors)));
    lines
}

fn counted(counted: &Counted) -> String {
    let Counted { intended, sent, done, late, dropped, errors } = counted;
    let errors: u64 = errors.values().sum();
    format!(
        "{intended} requests meant, {sent} sent, {done} answered; {errors} errors, of these {dropped} dropped; {late} sent late"
    )
}

/// Width of the names, and of a number.
const NAME: usize = 24;
const NUMBER: usize = 10;

fn heading() -> String {
    let columns = ["mean", "50 %", "75 %", "90 %", "95 %", "99 %", "99.9 %", "99.99 %", "max"];
    let columns: String = columns.iter().map(|column| format!("{column:>NUMBER$}")).collect();
    format!("{:<NAME$}{columns}", "milliseconds")
}

/// `None`: nothing was measured.
fn times(name: &str, times: Option<&Times>) -> Option<String> {
    let Times { mean, p50, p75, p90, p95, p99, p99_9, p99_99, max, .. } = times?;
    let numbers = [mean, p50, p75, p90, p95, p99, p99_9, p99_99, max].map(|number| format!("{number:>NUMBER$.3}"));
    Some(format!("{name:<NAME$}{}", numbers.concat()))
}
