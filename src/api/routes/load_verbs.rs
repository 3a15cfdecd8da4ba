//! Steering load hosts: the verbs of `agent shell --table`.

use super::load::asker;
use crate::api::Shared;
use crate::api::extract::Json;
use crate::api::problem::{ErrorCode, Problem};
use crate::api::wire::{LoadVerb, LoadVerbAnswer};
use crate::app::batch::new_key;
use agent_core::config::Invalid;
use agent_load::session::{Refused, Session, SharedTable};
use agent_load::steering::{Experiment, Verb, parse};
use axum::extract::State;

/// Does a verb of `agent shell --table`, with the load hosts that joined (`agent load host`), and answers when all hosts that it is for have
/// done it. `sleep`, `source`, `exit` and `exp queue` have no place here.
#[utoipa::path(post, path = "/load/verbs", operation_id = "perform_load_verb", tag = "load",
    request_body = LoadVerb, responses((status = OK, body = LoadVerbAnswer)))]
pub async fn perform(
    State(api): Shared,
    Json(LoadVerb { verb, allow }): Json<LoadVerb>,
) -> Result<axum::Json<LoadVerbAnswer>, Problem> {
    api.require_load()?;
    let parsed = parse(&verb).map_err(invalid)?;
    let none = || Problem::new(ErrorCode::Invalid, "verb: it is empty").with_help("`help` lists the verbs");
    let verb = parsed.ok_or_else(none)?;
    require_place(&verb)?;
    let on = SharedTable { table: api.surroundings.load.clone(), by: asker(), new_key };
    let mut session = Session::of_others(on, allow);
    let answer = session.execute(&verb).await.map_err(problem)?;
    // Every answer can be written as JSON.
    let document = serde_json::to_value(&answer).unwrap_or_default();
    Ok(axum::Json(LoadVerbAnswer { answer: document, lines: answer.lines() }))
}

/// What belongs to a session, or to the files of the machine that serves this, is not done.
fn require_place(verb: &Verb) -> Result<(), Problem> {
    let help = match verb {
        Verb::Sleep(_) | Verb::Exit => "a request is one verb; wait between two of them",
        Verb::Source(_) => "send its lines one after another; files of this machine are not read",
        Verb::Experiment(Experiment::Queue { .. }) => "`POST load/experiments` queues one with its text",
        Verb::Experiment(
            Experiment::Start { .. }
            | Experiment::Stop
            | Experiment::Event { .. }
            | Experiment::List
            | Experiment::Cancel { .. },
        )
        | Verb::Hosts(_)
        | Verb::Clients(_)
        | Verb::Info
        | Verb::Ping
        | Verb::Spawn { .. }
        | Verb::Rps { .. }
        | Verb::Close { .. }
        | Verb::Request { .. }
        | Verb::Pause { .. }
        | Verb::Traces { .. }
        | Verb::Date
        | Verb::Echo(_)
        | Verb::Routing(_)
        | Verb::Help(_) => return Ok(()),
    };
    Err(Problem::new(ErrorCode::Invalid, format!("verb: `{verb}` has no place here")).with_help(help))
}

fn invalid(Invalid { problem, help }: Invalid) -> Problem {
    Problem::new(ErrorCode::Invalid, format!("verb: {problem}")).with_help(help)
}

fn problem(refused: Refused) -> Problem {
    match refused {
        Refused::Verb(Invalid { problem, help }) => Problem::new(ErrorCode::Refused, problem).with_help(help),
        Refused::Table(error) => error.into(),
        // What hosts that are gone did of it nobody knows.
        Refused::Gone { .. } => Problem::new(ErrorCode::Uncertain, refused.to_string()),
        Refused::Script(_) | Refused::Line { .. } | Refused::Lost(_) => {
            Problem::new(ErrorCode::Internal, refused.to_string())
        }
    }
}
