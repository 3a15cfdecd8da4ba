//! How fast a simulation goes on, to be set.

use crate::app::pace::Standing;
use agent_core::domain::time::Timestamp;
use agent_core::domain::units::show_duration;
use maud::{Markup, html};

const SPEEDS: [(&str, f64); 5] = [("1", 1.0), ("10", 10.0), ("60", 60.0), ("600", 600.0), ("6000", 6000.0)];
const ENDS: [(&str, &str); 4] =
    [("job", "next job"), ("missed", "next missed goal"), ("acted", "next action"), ("converged", "convergence")];

pub fn controls() -> Markup {
    let button = |text: &str, method: &str, path: &str, body: String| {
        html! { button type="button" data-method=(method) data-path=(path) data-body=(body) { (text) } " " }
    };
    const PATH: &str = "/api/v1/simulation";
    html! {
        section #pace aria-labelledby="pace-title" {
            h2 #pace-title { "Simulation" }
            p {
                (button("Pause", "PATCH", PATH, r#"{"paused": true}"#.to_owned()))
                (button("Go on", "PATCH", PATH, r#"{"paused": false}"#.to_owned()))
                "at "
                @for (text, speed) in SPEEDS {
                    (button(&format!("{text}×"), "PATCH", PATH, format!(r#"{{"speed": {speed}, "paused": false}}"#)))
                }
            }
            p {
                "Step to the "
                @for (end, text) in ENDS {
                    (button(text, "POST", "/api/v1/simulation/steps", format!(r#"{{"until": "{end}"}}"#)))
                }
            }
        }
    }
}

/// Where it is, in words.
pub fn told(standing: &Standing) -> String {
    let since = |at: Timestamp| show_duration(at.since(Timestamp::default()));
    let how = match (standing.has_ended(), standing.paused) {
        (true, _) => "at its end".to_owned(),
        (false, true) => "paused".to_owned(),
        (false, false) => format!("{}× as fast", standing.speed),
    };
    format!("simulated {} of {}, {how}", since(standing.now), since(standing.end))
}
