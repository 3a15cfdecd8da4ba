//! The whole time as a line: how jobs went and when something was done; a part of it can be chosen by drawing over it.

use super::Looking;
use crate::api::Api;
use crate::api::problem::Problem;
use crate::api::routes::events::instant;
use crate::knowledge::{Order, Selection};
use agent_core::domain::time::Timestamp;
use maud::{Markup, html};

const PARTS: usize = 120;
const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 48.0;
/// Actions that are marked, the latest.
const MARKED: usize = 200;

pub async fn line(api: &Api, looking: &Looking) -> Result<Markup, Problem> {
    let parts = {
        let mut timeline = api.timeline.lock().await;
        timeline.update(api.knowledge()).await?;
        timeline.parts(api.surroundings.clock.now(), PARTS)
    };
    let Some((from, to, parts)) = parts else { return Ok(html! {}) };
    let asked =
        Selection { since: from, order: Order::NewestFirst, limit: MARKED, explained: false, ..Selection::default() };
    let actions = api.knowledge().select_events(&asked).await?;
    let place = |at: Timestamp| (at.0 - from.0) as f64 / (to.0 - from.0).max(1) as f64 * WIDTH;
    let most = parts.iter().map(|came| came.met + came.missed).max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / PARTS as f64;
    let chosen = |name: &str, text: &Option<String>| instant(name, text.as_deref(), api.scale);
    let (since, until) = (chosen("since", &looking.since)?, chosen("until", &looking.until)?);
    let told = |at: Timestamp| api.scale.on_the_wall(at).to_string();
    let (jobs, missed) = parts.iter().fold((0, 0), |sum, came| (sum.0 + came.met + came.missed, sum.1 + came.missed));
    let label = format!("{jobs} jobs from {} to {}, {missed} of them missed their goal", told(from), told(to));
    Ok(html! {
        section #history aria-labelledby="history-title" {
            h2 #history-title { "Time" }
            figure.history {
                svg #timeline viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(label)
                    data-from=(told(from)) data-to=(told(to)) {
                    @for (at, came) in parts.iter().enumerate() {
                        @let met = came.met as f64 / most * (HEIGHT - 8.0);
                        @let missed = came.missed as f64 / most * (HEIGHT - 8.0);
                        @let x = format!("{:.1}", at as f64 * step);
                        @if came.met > 0 { rect.met x=(x) y={ (format!("{:.1}", HEIGHT - met)) } width={ (format!("{:.1}", step - 1.0)) } height={ (format!("{met:.1}")) } {} }
                        @if came.missed > 0 { rect.missed x=(x) y={ (format!("{:.1}", HEIGHT - met - missed)) } width={ (format!("{:.1}", step - 1.0)) } height={ (format!("{missed:.1}")) } {} }
                    }
                    @for event in &actions {
                        @let x = format!("{:.1}", place(event.posted_at));
                        line.action x1=(x) x2=(x) y1="0" y2="7" { title { (event.action) " by agent " (event.agent) } }
                    }
                    @if since.is_some() || until.is_some() {
                        @let begin = since.map_or(0.0, place).clamp(0.0, WIDTH);
                        @let end = until.map_or(WIDTH, place).clamp(begin, WIDTH);
                        rect.chosen x={ (format!("{begin:.1}")) } y="0" width={ (format!("{:.1}", (end - begin).max(1.0))) } height=(HEIGHT) {}
                    }
                    rect #drawn x="0" y="0" width="0" height=(HEIGHT) {}
                }
                figcaption { "Draw over the line to choose a time: the page shows the network as it was at its end. " (label) "." }
            }
            @if looking.until.is_some() {
                p.past role="status" {
                    "This is the network as it was at " (looking.until.as_deref().unwrap_or_default())
                    ". "
                    a href=(looking.at_present()) { "Back to now" }
                }
            }
        }
    })
}
