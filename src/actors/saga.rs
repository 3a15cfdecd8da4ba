//! The steps of an action's saga in the real world: each is what the executor's machine asks for, and its answer the next input.

use super::inspection::{Depth, judge};
use super::removal::delete;
use super::watchdog::Watch;
use super::world::{World, chain, on_services};
use crate::jobs::JobError;
use crate::knowledge::{self, Claimed, KnowledgeError};
use crate::storage::ObjectStore;
use crate::storage::paced::{Pace, Paced};
use crate::storage::set::{Meter, SetAt};
use crate::storage::transfer::{Expected, Side, TransferError, Verified, transfer, transfer_set};
use agent_core::domain::constraints::Rate;
use agent_core::domain::event::Outcome;
use agent_core::domain::failure::{FailureKind, JobFailure};
use agent_core::domain::ids::EventId;
use agent_core::domain::manifest::Extent;
use agent_core::domain::placement::{Claim, Plan, Replica};
use agent_core::domain::snapshot::Snapshot;
use agent_core::domain::validators::Validators;
use agent_core::mape::executor::{Effect, End, Executor, Input};
use agent_core::mape::notice::Notice;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Carries a plan out, from its claim to its end, apart from what the agent's own executor does; how it ended.
pub async fn carry_out(world: &Arc<World>, watch: Watch, plan: Plan) -> End {
    let mut machine = Executor::default();
    let effects = machine.handle(Input::Execute(plan));
    to_its_end(world, watch, machine, effects).await
}

/// Goes on with an action that a former life had claimed, from its transfer on.
pub async fn go_on(world: &Arc<World>, watch: Watch, claim: Claim) -> End {
    let (machine, effects) = Executor::resumed(claim);
    to_its_end(world, watch, machine, effects).await
}

async fn to_its_end(world: &Arc<World>, watch: Watch, mut machine: Executor, effects: Vec<Effect>) -> End {
    let mut effects = VecDeque::from(effects);
    let mut end = End::Nothing;
    while let Some(effect) = effects.pop_front() {
        if let Effect::Report(report) = &effect {
            end = report.end.clone();
        }
        if let Some(input) = perform(world, watch, effect).await {
            effects.extend(machine.handle(input));
        }
    }
    end
}

/// Performs an effect; `None` where nothing answers.
pub(super) async fn perform(world: &Arc<World>, watch: Watch, effect: Effect) -> Option<Input> {
    Some(match effect {
        Effect::CheckLinks(action) => match world.check_links(action).await {
            Ok(()) => Input::LinksThere,
            Err(error) => Input::LinksAway(chain(&error)),
        },
        Effect::Claim(plan) => claim(world, watch, &plan).await,
        Effect::Note(plan) => {
            if let Err(error) = read_back(|| world.knowledge.record_nothing(&plan), is_certain).await {
                world.trouble(chain(&error));
            }
            Input::Noted
        }
        Effect::Transfer(claim) => match move_bytes(world, watch, claim).await {
            Ok(arrived) => Input::Transferred(arrived),
            Err(failure) => Input::TransferFailed(failure),
        },
        Effect::Commit { event, arrived } => commit(world, watch, event, &arrived).await,
        Effect::Abort { claim, outcome, why } => {
            abort(world, &claim, outcome, &why).await;
            Input::Aborted
        }
        Effect::Report(report) => {
            world.notify_end(report);
            return None;
        }
        Effect::Finished(_) => return None,
        Effect::Unexpected(what) => {
            world.unexpected(&what);
            return None;
        }
    })
}

/// How often what may have been carried out is asked for again, after pauses that double, each drawn from half to one and a half
/// of that.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Asks for a write, of which the same again changes nothing more and is answered the same, until there is an answer or an error
/// that ends it. What may have been carried out stays so however it is refused later.
async fn read_back<T, A>(ask: impl Fn() -> A, ends: fn(&KnowledgeError) -> bool) -> knowledge::Result<T>
where
    A: Future<Output = knowledge::Result<T>>,
{
    let (mut known, mut pause) = (None, FIRST_PAUSE);
    for tries in 1.. {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error.after(known),
        };
        if ends(&error) || tries == TRIES {
            return Err(error);
        }
        known = Some(error);
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
        pause *= 2;
    }
    unreachable!("the last try ends it")
}

fn is_certain(error: &KnowledgeError) -> bool {
    !matches!(error, KnowledgeError::Uncertain { .. })
}

/// Claims; when the answer was lost, reads back by key what became of it (the same key is granted once).
async fn claim(world: &World, watch: Watch, plan: &Plan) -> Input {
    match read_back(|| world.knowledge.claim(plan, watch.lease, watch.window), is_certain).await {
        Ok(claimed) => {
            if let Claimed::Granted(claim) = &claimed {
                tracing::debug!(event = %claim.event, action = %claim.action, "claimed");
            }
            Input::Claimed(claimed)
        }
        Err(error) if is_certain(&error) => Input::ClaimFailed(chain(&error)),
        Err(error) => Input::Uncertain(chain(&error)),
    }
}

/// Commits; committing twice is the same as once, so it is asked for again whatever went wrong: the bytes have arrived.
async fn commit(world: &World, watch: Watch, event: EventId, arrived: &Validators) -> Input {
    let is_rejected = |error: &KnowledgeError| matches!(error, KnowledgeError::Rejected { .. });
    match read_back(|| world.knowledge.commit(event, arrived, watch.drain), is_rejected).await {
        Ok(committed) => Input::Committed(committed),
        Err(error) if is_certain(&error) => Input::CommitFailed(chain(&error)),
        Err(error) => Input::Uncertain(chain(&error)),
    }
}

/// Streams the bytes to the destination through this agent's links and verifies them; the lease is renewed meanwhile.
async fn move_bytes(world: &Arc<World>, watch: Watch, claim: Claim) -> Result<Validators, JobFailure> {
    let (event, worker) = (claim.event, world.clone());
    let work = on_services(world, async move { transfer_claimed(&worker, &claim).await });
    tokio::pin!(work);
    loop {
        let renewal = tokio::time::sleep(world.clock.apply(watch.lease / 3));
        tokio::select! {
            done = &mut work => return done.map_err(surroundings)?,
            () = renewal => match world.knowledge.renew(event, watch.lease).await {
                Ok(true) => {}
                Ok(false) => return Err(surroundings("the lease was lost")),
                Err(error) => world.trouble(chain(&error)),
            },
        }
    }
}

async fn transfer_claimed(world: &World, claim: &Claim) -> Result<Validators, JobFailure> {
    let snapshot = world.knowledge.snapshot(&claim.data_set).await.map_err(|error| surroundings(chain(&error)))?;
    let gone = || JobFailure::new(FailureKind::Data, format!("data set {} is gone", claim.data_set));
    let snapshot = snapshot.ok_or_else(gone)?;
    let to = claim.destination.as_ref().ok_or_else(|| JobFailure::new(FailureKind::Data, "there is no destination"))?;
    match bring(world, &snapshot, claim, to).await? {
        Ok(verified) => Ok(verified.validators().clone()),
        Err(failed) => {
            let why = chain(&failed);
            if failed.side == Side::Source {
                look_again(world, claim).await;
            }
            let node = match failed.side {
                Side::Source => claim.source.node,
                Side::Destination => to.node,
            };
            let failure = JobFailure::new(JobError::Storage(failed.error).kind(), why);
            Err(world.unless_link_is_gone(node, failure).await)
        }
    }
}

/// The transfer itself; the outer error is that a store cannot be reached.
async fn bring(
    world: &World,
    snapshot: &Snapshot,
    claim: &Claim,
    to: &Replica,
) -> Result<Result<Verified, TransferError>, JobFailure> {
    let source = world.reach(snapshot, claim.source.node).await?.store;
    let source: Arc<dyn ObjectStore> = match snapshot.data_set.guard.constraints.rate() {
        Some(Rate(bytes_per_s)) => Arc::new(Paced::new(source, Pace::new(bytes_per_s))),
        None => source,
    };
    let destination = world.reach(snapshot, to.node).await?.store;
    let data_set = &snapshot.data_set;
    Ok(match (Extent::of(&claim.source.object_key), Extent::of(&to.object_key)) {
        (Extent::Set(from), Extent::Set(into)) => {
            let former = former_sets(snapshot, to, &destination);
            let (source, destination) = (SetAt::new(source, from), SetAt::new(destination, into));
            transfer_set(&source, &destination, &data_set.sha256, &former, &meter(world, claim, data_set.bytes)).await
        }
        (Extent::Object(_), _) | (_, Extent::Object(_)) => {
            let expected = Expected { bytes: data_set.bytes, sha256: data_set.sha256.clone() };
            let (from, into) = (source.as_ref(), destination.as_ref());
            let known = snapshot.placement.replicas.get(&claim.source.id);
            let etag = known.and_then(|row| row.validators.etag.as_deref());
            transfer(from, &claim.source.object_key, etag, into, &to.object_key, &expected, |_| {}).await
        }
    })
}

/// What else lies on a replica's node, of other versions or on its way out: most of what it needs may be there.
fn former_sets(snapshot: &Snapshot, replica: &Replica, store: &Arc<dyn ObjectStore>) -> Vec<SetAt> {
    let rows = snapshot.placement.replicas.values();
    let others = rows.filter(|row| row.node == replica.node && row.object_key != replica.object_key);
    let set = |row: &Replica| match Extent::of(&row.object_key) {
        Extent::Set(keys) => Some(SetAt::new(store.clone(), keys)),
        Extent::Object(_) => None,
    };
    others.filter_map(set).collect()
}

/// Tells people how far a set has come.
fn meter(world: &World, claim: &Claim, bytes: u64) -> Meter {
    let (agent, action, event, notify) = (world.agent, claim.action, claim.event, world.notify.clone());
    Meter::new(move |amount| {
        let what = format!("{action} (event {event}): {amount} of {:.1} MB have arrived", bytes as f64 / 1e6);
        notify(Notice::UnderWay { agent, what });
    })
}

/// A source that did not give what it should: it may be another object by now.
async fn look_again(world: &World, claim: &Claim) {
    match world.knowledge.snapshot(&claim.data_set).await {
        Ok(Some(snapshot)) => {
            let source = snapshot.placement.replicas.get(&claim.source.id).filter(|row| row.node == claim.source.node);
            if let Some(source) = source {
                _ = judge(world, &snapshot, source, Depth::Read).await;
            }
        }
        Ok(None) => {}
        Err(error) => world.trouble(chain(&error)),
    }
}

fn surroundings(why: impl Into<String>) -> JobFailure {
    JobFailure::new(FailureKind::Surroundings, why)
}

/// Undoes a claim. The destination's object goes even when somebody else has undone the claim before: this agent may have
/// written it since.
async fn abort(world: &World, claim: &Claim, outcome: Outcome, why: &str) {
    let undone = read_back(|| world.knowledge.abort(claim.event, outcome, why), is_certain).await;
    let deleted = match &claim.destination {
        Some(destination) => delete(world, destination).await,
        None => Ok(()),
    };
    match (undone, deleted) {
        (Ok(Some(row)), Ok(())) => {
            if let Err(error) = world.knowledge.removed(row.id).await {
                world.trouble(chain(&error));
            }
        }
        (Ok(_), Ok(())) => {}
        // What is still named by the table, or leased, is undone by recovery.
        (Err(error), _) => world.trouble(chain(&error)),
        (Ok(_), Err(why)) => world.trouble(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    const OPERATION: &str = "claim";

    fn refused() -> KnowledgeError {
        KnowledgeError::NotExecuted { operation: OPERATION, reason: "connection refused".to_owned() }
    }

    fn lost() -> KnowledgeError {
        KnowledgeError::Uncertain { operation: OPERATION, reason: "connection lost".to_owned() }
    }

    fn rejected() -> KnowledgeError {
        KnowledgeError::Rejected { operation: OPERATION, reason: "no such node".to_owned() }
    }

    /// What is known after these answers, and how many of them were not asked for.
    async fn known(
        answers: Vec<knowledge::Result<()>>,
        ends: fn(&KnowledgeError) -> bool,
    ) -> (knowledge::Result<()>, usize) {
        let answers = RefCell::new(answers.into_iter());
        let known = read_back(async || answers.borrow_mut().next().expect("another answer"), ends).await;
        let left = answers.into_inner().len();
        (known, left)
    }

    #[tokio::test]
    async fn a_refusal_at_once_is_certain() {
        let (known, left) = known(vec![Err(refused()), Ok(())], is_certain).await;
        assert!(matches!(known, Err(KnowledgeError::NotExecuted { .. })) && left == 1, "{known:?}");
    }

    #[tokio::test]
    async fn what_may_have_been_carried_out_is_asked_for_until_it_is_known() {
        let (answer, _) = known(vec![Err(lost()), Err(refused()), Ok(())], is_certain).await;
        assert!(answer.is_ok(), "{answer:?}");
        let (answer, left) = known(vec![Err(lost()), Err(rejected()), Ok(())], is_certain).await;
        assert!(matches!(answer, Err(KnowledgeError::Rejected { .. })) && left == 1, "{answer:?}");
    }

    #[tokio::test]
    async fn no_number_of_refusals_makes_it_certain() {
        let mut answers = vec![Err(refused()), Err(lost())];
        answers.extend((2..TRIES).map(|_| Err(refused())));
        let (answer, left) = known(answers, |_| false).await;
        assert!(matches!(answer, Err(KnowledgeError::Uncertain { .. })) && left == 0, "{answer:?}");
    }
}
