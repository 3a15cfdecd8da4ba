//! Jobs over time: each a bar as high as it took long, in the colour of what it came to.

use super::Looking;
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::routes::events::instant;
use crate::api::wire::{Agent, Measurement};
use crate::knowledge::{Order, Selection};
use agent_core::domain::ids::AgentId;
use maud::{Markup, html};

/// Jobs in a strip.
const JOBS: usize = 60;
const HEIGHT: f64 = 36.0;
const BAR: f64 = 5.0;

/// Each of these agents with its latest jobs, or those of the time that is looked at.
pub async fn strips<'a>(
    api: &Api,
    agents: &[&'a Agent],
    looking: &Looking,
) -> Result<Vec<(&'a Agent, Markup)>, Problem> {
    let all = Selection::default();
    let since = instant("since", looking.since.as_deref(), api.scale)?.unwrap_or(all.since);
    let until = instant("until", looking.until.as_deref(), api.scale)?.unwrap_or(all.until);
    let mut strips = Vec::new();
    for agent in agents {
        let latest = Selection {
            agent: Some(AgentId(agent.id)),
            order: Order::NewestFirst,
            limit: JOBS,
            since,
            until,
            ..Selection::default()
        };
        let jobs = api.knowledge().select_measurements(&latest).await?;
        let jobs: Vec<Measurement> = jobs.iter().rev().map(|row| Measurement::recorded(row, api.scale)).collect();
        strips.push((*agent, strip(&jobs)));
    }
    Ok(strips)
}

fn strip(jobs: &[Measurement]) -> Markup {
    let took = |job: &Measurement| job.metrics.get("response_time").copied();
    let longest = jobs.iter().filter_map(took).fold(0.0, f64::max);
    let width = BAR * JOBS as f64;
    let (first, last) = (jobs.first(), jobs.last());
    let met = jobs.iter().filter(|job| job.goal_met == Some(true)).count();
    let label = format!("{met} of the last {} jobs met the goal; the longest took {longest:.1} s", jobs.len());
    html! { @if !jobs.is_empty() {
        figure.jobs {
            svg viewBox={ "0 0 " (width) " " (HEIGHT) } role="img" aria-label=(label) preserveAspectRatio="none" {
                @for (at, job) in jobs.iter().enumerate() {
                    @let share = took(job).filter(|_| longest > 0.0).map_or(1.0, |took| (took / longest).max(0.08));
                    @let height = HEIGHT * share;
                    rect.(class(job)) x=(at as f64 * BAR) y={ (format!("{:.1}", HEIGHT - height)) } width=(BAR - 1.0)
                        height={ (format!("{height:.1}")) } { title { (told(job)) } }
                }
            }
            figcaption {
                (label)
                @if let (Some(first), Some(last)) = (first, last) {
                    ", " (super::time_of_day(&first.at)) " to " (super::time_of_day(&last.at))
                }
            }
        }
    } }
}

fn class(job: &Measurement) -> &'static str {
    match job.goal_met {
        Some(true) => "met",
        Some(false) => "missed",
        None => "failed",
    }
}

fn told(job: &Measurement) -> String {
    let metrics = job.metrics.iter().map(|(name, value)| format!("{name} {value:.2}"));
    let metrics = metrics.collect::<Vec<_>>().join(", ");
    let end = job.failure.as_deref().unwrap_or(&metrics);
    format!("{} node {}: {}: {end}", job.at, job.node, class(job))
}
