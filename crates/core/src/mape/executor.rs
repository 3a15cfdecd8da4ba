//! Executing: an action as a saga of conditional steps (claim, transfer, commit), safe to be killed between any two. What a
//! move or evict leaves behind is deleted later, when the jobs that still read it have had their time: see the watchdog.
//!
//! ```text
//!       Execute         LinksThere        Granted           Transferred           Done
//! Idle -------> Checking -----> Claiming -------> Transferring -------> Committing -----> Idle
//!                  | LinksAway     | Lost              | failed             | Refused, failed
//!                  '--> Idle       '--> Idle           '--> Aborting <------'
//!                                                              '--> Idle
//! ```

use super::monitor::Repair;
use super::unexpected::Unexpected;
use crate::domain::action::Action;
use crate::domain::event::Outcome;
use crate::domain::failure::{FailureKind, JobFailure};
use crate::domain::ids::EventId;
use crate::domain::placement::{Claim, Plan};
use crate::domain::saga::{Claimed, Committed};
use crate::domain::validators::Validators;

// One for each step of an action: a box would save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
pub enum Input {
    Execute(Plan),
    LinksThere,
    /// Who offers the links is away: nothing could be carried out over them, nor undone.
    LinksAway(String),
    Claimed(Claimed),
    /// The claim could not be asked for, and nothing was changed.
    ClaimFailed(String),
    /// The decision to do nothing is recorded, or could not be.
    Noted,
    /// The copy was verified; these are its object's validators.
    Transferred(Validators),
    TransferFailed(JobFailure),
    Committed(Committed),
    /// The commit could not be asked for within its bound, and nothing was changed.
    CommitFailed(String),
    /// A claim or commit was sent, and what became of it could not be read back within its bound.
    Uncertain(String),
    Aborted,
    /// Finish or release what runs; take nothing new.
    Stop,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Ask whether the links are there that an action is about.
    CheckLinks(Action),
    Claim(Plan),
    /// Record the decision to do nothing.
    Note(Plan),
    /// Copy the bytes to the destination and verify them; renew the lease meanwhile.
    Transfer(Claim),
    Commit {
        event: EventId,
        arrived: Validators,
    },
    /// Undo the claim; whatever arrived at its destination goes too.
    Abort {
        claim: Claim,
        outcome: Outcome,
        why: String,
    },
    /// For people: what became of a plan.
    Report(Report),
    Finished(Repair),
    /// Nobody waited for the input.
    Unexpected(Unexpected),
}

/// What became of a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub action: Action,
    pub event: Option<EventId>,
    pub end: End,
}

#[derive(Clone, PartialEq, Debug)]
pub enum End {
    Done,
    Nothing,
    Lost(String),
    /// It was not begun.
    NotNow(String),
    Failed(String),
    /// It may have been carried out.
    Unknown(String),
}

impl End {
    /// For people; nothing for what was decided on already.
    pub fn told(&self) -> Option<String> {
        match self {
            End::Done => Some("done".to_owned()),
            End::Nothing => None,
            End::Lost(why) => Some(format!("not granted: {why}; judging again")),
            End::NotNow(why) => Some(format!("not now: {why}")),
            End::Failed(why) => Some(format!("FAILED: {why}")),
            End::Unknown(why) => Some(format!("NOT KNOWN: {why}")),
        }
    }
}

#[derive(Debug)]
enum State {
    Idle,
    Checking(Plan),
    Claiming(Plan),
    Noting(Plan),
    Transferring(Claim),
    Committing(Claim),
    /// What is said when it is undone.
    Aborting(Repair),
}

/// The machine.
#[derive(Debug)]
pub struct Executor {
    state: State,
    stopping: bool,
}

impl Default for Executor {
    fn default() -> Self {
        Self { state: State::Idle, stopping: false }
    }
}

impl Executor {
    /// The names of all states.
    pub const STATES: [&str; 7] = [
        "executor idle",
        "executor checking links",
        "executor claiming",
        "executor noting",
        "executor transferring",
        "executor committing",
        "executor aborting",
    ];

    /// One that goes on with what a former life had claimed.
    pub fn resumed(claim: Claim) -> (Self, Vec<Effect>) {
        let mut machine = Self::default();
        let effects = machine.granted(claim);
        (machine, effects)
    }

    /// The name of the state that it is in.
    pub fn state(&self) -> &'static str {
        let [idle, checking, claiming, noting, transferring, committing, aborting] = Self::STATES;
        match self.state {
            State::Idle => idle,
            State::Checking(_) => checking,
            State::Claiming(_) => claiming,
            State::Noting(_) => noting,
            State::Transferring(_) => transferring,
            State::Committing(_) => committing,
            State::Aborting(_) => aborting,
        }
    }

    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// Bytes are on the way: the one step that takes long and can be given up.
    pub fn is_transferring(&self) -> bool {
        matches!(self.state, State::Transferring(_))
    }

    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        match (input, std::mem::replace(&mut self.state, State::Idle)) {
            (Input::Stop, state) => self.stop(state),
            (Input::Execute(plan), State::Idle) => self.execute(plan),
            (Input::LinksThere, State::Checking(plan)) => self.claim(plan),
            (Input::LinksAway(why), State::Checking(plan)) => {
                ended(plan.action, None, End::NotNow(why), Repair::NotNow)
            }
            (Input::Noted, State::Noting(plan)) => ended(plan.action, None, End::Nothing, Repair::Nothing),
            (Input::Claimed(Claimed::Granted(claim)), State::Claiming(_)) => self.granted(claim),
            (Input::Claimed(Claimed::Lost(lost)), State::Claiming(plan)) => {
                ended(plan.action, None, End::Lost(lost.to_string()), Repair::Lost)
            }
            (Input::ClaimFailed(why), State::Claiming(plan)) => {
                ended(plan.action, None, End::Failed(why), Repair::Nothing)
            }
            (Input::Transferred(arrived), State::Transferring(claim)) => self.commit(claim, arrived),
            (Input::TransferFailed(failure), State::Transferring(claim)) => self.fail(claim, failure),
            (Input::Committed(Committed::Done { .. }), State::Committing(claim)) => {
                ended(claim.action, Some(claim.event), End::Done, Repair::Acted)
            }
            (Input::Committed(Committed::Refused(refused)), State::Committing(claim)) => {
                self.abort(claim, Outcome::Aborted, refused.to_string(), Repair::Nothing)
            }
            // What arrived goes at once: recovery may have been there before it came, and would not look again.
            (Input::CommitFailed(why), State::Committing(claim)) => {
                self.abort(claim, Outcome::Aborted, why, Repair::Nothing)
            }
            (Input::Uncertain(why), State::Claiming(plan)) => {
                ended(plan.action, None, End::Unknown(why), Repair::Nothing)
            }
            (Input::Uncertain(why), State::Committing(claim)) => {
                ended(claim.action, Some(claim.event), End::Unknown(why), Repair::Nothing)
            }
            (Input::Aborted, State::Aborting(repair)) => vec![Effect::Finished(repair)],
            // A transfer that was given up may have ended meanwhile; what it brought is undone.
            (Input::Transferred(_) | Input::TransferFailed(_), state @ (State::Idle | State::Aborting(_)))
                if self.stopping =>
            {
                self.state = state;
                Vec::new()
            }
            (
                input @ (Input::Execute(_)
                | Input::LinksThere
                | Input::LinksAway(_)
                | Input::Claimed(_)
                | Input::ClaimFailed(_)
                | Input::Noted
                | Input::Transferred(_)
                | Input::TransferFailed(_)
                | Input::Committed(_)
                | Input::CommitFailed(_)
                | Input::Uncertain(_)
                | Input::Aborted),
                state,
            ) => {
                let unexpected = Unexpected::new("executor", &input, &state);
                self.state = state;
                vec![Effect::Unexpected(unexpected)]
            }
        }
    }

    fn execute(&mut self, plan: Plan) -> Vec<Effect> {
        if self.stopping {
            return vec![Effect::Finished(Repair::Nothing)];
        }
        if plan.action == Action::Nothing {
            self.state = State::Noting(plan.clone());
            return vec![Effect::Note(plan)];
        }
        let action = plan.action;
        self.state = State::Checking(plan);
        vec![Effect::CheckLinks(action)]
    }

    fn claim(&mut self, plan: Plan) -> Vec<Effect> {
        if self.stopping {
            return vec![Effect::Finished(Repair::Nothing)];
        }
        self.state = State::Claiming(plan.clone());
        vec![Effect::Claim(plan)]
    }

    fn granted(&mut self, claim: Claim) -> Vec<Effect> {
        if self.stopping {
            return self.give_up(claim);
        }
        // A move or copy onto a node that holds a replica already has no destination row: there is nothing to transfer.
        if claim.destination.is_none() {
            return self.commit(claim, Validators::default());
        }
        self.state = State::Transferring(claim.clone());
        vec![Effect::Transfer(claim)]
    }

    fn commit(&mut self, claim: Claim, arrived: Validators) -> Vec<Effect> {
        let event = claim.event;
        self.state = State::Committing(claim);
        vec![Effect::Commit { event, arrived }]
    }

    /// What the surroundings broke off says nothing about the action.
    fn fail(&mut self, claim: Claim, JobFailure { kind, why }: JobFailure) -> Vec<Effect> {
        match kind {
            FailureKind::Surroundings => self.abort(claim, Outcome::Aborted, why, Repair::NotNow),
            FailureKind::Store | FailureKind::Program | FailureKind::Data | FailureKind::ChangedData => {
                self.abort(claim, Outcome::Failed, why, Repair::Nothing)
            }
        }
    }

    fn give_up(&mut self, claim: Claim) -> Vec<Effect> {
        self.abort(claim, Outcome::Aborted, "the agent is stopping".to_owned(), Repair::Nothing)
    }

    fn abort(&mut self, claim: Claim, outcome: Outcome, why: String, repair: Repair) -> Vec<Effect> {
        self.state = State::Aborting(repair);
        let report = Report { action: claim.action, event: Some(claim.event), end: End::Failed(why.clone()) };
        vec![Effect::Report(report), Effect::Abort { claim, outcome, why }]
    }

    /// A transfer is given up (its bytes are undone); everything else takes moments and is finished.
    fn stop(&mut self, state: State) -> Vec<Effect> {
        self.stopping = true;
        match state {
            State::Transferring(claim) => self.give_up(claim),
            state @ (State::Idle
            | State::Checking(_)
            | State::Claiming(_)
            | State::Noting(_)
            | State::Committing(_)
            | State::Aborting(_)) => {
                self.state = state;
                Vec::new()
            }
        }
    }
}

fn ended(action: Action, event: Option<EventId>, end: End, repair: Repair) -> Vec<Effect> {
    vec![Effect::Report(Report { action, event, end }), Effect::Finished(repair)]
}

#[cfg(test)]
mod tests {
    use super::super::scene;
    use super::*;
    use crate::domain::ids::{AgentId, ReplicaId};
    use crate::domain::saga::{Lost, Refused};

    fn plan(action: &str) -> Plan {
        Plan {
            key: "key".to_owned(),
            agent: AgentId(1),
            data_set: "blood".into(),
            reference: ReplicaId(1),
            action: action.parse().unwrap(),
            explored: false,
            expected: [(ReplicaId(1), 1)].into(),
            generation: None,
            detail: String::new(),
        }
    }

    fn granted(action: &str) -> Input {
        let action: Action = action.parse().unwrap();
        let destination = action.transfers().then(|| scene::replica(2, 1));
        let source = scene::replica(1, 3);
        let (event, agent) = (EventId(1), AgentId(1));
        Input::Claimed(Claimed::Granted(Claim { event, agent, data_set: "blood".into(), action, source, destination }))
    }

    fn failed(kind: FailureKind) -> Input {
        Input::TransferFailed(JobFailure::new(kind, "away"))
    }

    fn done() -> Input {
        Input::Committed(Committed::Done { leftover: None })
    }

    /// Gives the inputs one after the other and names the effects of each.
    fn check(inputs: impl IntoIterator<Item = (Input, &'static str)>) -> Executor {
        let mut executor = Executor::default();
        for (input, expected) in inputs {
            let shown = format!("{input:?}");
            let effects = executor.handle(input);
            assert_eq!(effects.iter().map(name).collect::<Vec<_>>().join(" "), expected, "{shown}");
        }
        executor
    }

    fn name(effect: &Effect) -> String {
        match effect {
            Effect::Claim(_) => "claim".to_owned(),
            Effect::CheckLinks(_) => "check".to_owned(),
            Effect::Note(_) => "note".to_owned(),
            Effect::Transfer(_) => "transfer".to_owned(),
            Effect::Commit { .. } => "commit".to_owned(),
            Effect::Abort { outcome, .. } => format!("abort({})", outcome.name()),
            Effect::Report(report) => match &report.end {
                End::Done => "done".to_owned(),
                End::Nothing => "nothing".to_owned(),
                End::Lost(_) => "lost".to_owned(),
                End::NotNow(why) => format!("not now({why})"),
                End::Failed(why) => format!("failed({why})"),
                End::Unknown(why) => format!("unknown({why})"),
            },
            Effect::Finished(repair) => format!("{repair:?}"),
            Effect::Unexpected(what) => format!("unexpected({what})"),
        }
    }

    #[test]
    fn a_move_is_claimed_transferred_and_committed() {
        let executor = check([
            (Input::Execute(plan("M3_1")), "check"),
            (Input::LinksThere, "claim"),
            (granted("M3_1"), "transfer"),
            (Input::Transferred(Validators::default()), "commit"),
            (done(), "done Acted"),
        ]);
        assert!(executor.is_idle());
    }

    #[test]
    fn the_end_of_a_transfer_is_late_only_while_the_agent_stops() {
        let arrived = || Input::Transferred(Validators::default());
        check([(arrived(), "unexpected(the executor was told Transferred while it was Idle)")]);
        check([(Input::Stop, ""), (arrived(), "")]);
    }

    #[test]
    fn nothing_is_transferred_where_no_bytes_are_missing() {
        for action in ["CR3", "E3"] {
            check([
                (Input::Execute(plan(action)), "check"),
                (Input::LinksThere, "claim"),
                (granted(action), "commit"),
                (done(), "done Acted"),
            ]);
        }
    }

    #[test]
    fn doing_nothing_is_noted() {
        check([(Input::Execute(plan("NA")), "note"), (Input::Noted, "nothing Nothing")]);
    }

    #[test]
    fn losing_is_no_error() {
        let lost = Input::Claimed(Claimed::Lost(Lost::Changed(ReplicaId(1))));
        check([(Input::Execute(plan("M3_1")), "check"), (Input::LinksThere, "claim"), (lost, "lost Lost")]);
    }

    #[test]
    fn a_failed_transfer_is_undone() {
        check([
            (Input::Execute(plan("C3_1")), "check"),
            (Input::LinksThere, "claim"),
            (granted("C3_1"), "transfer"),
            (failed(FailureKind::Store), "failed(away) abort(failed)"),
            (Input::Aborted, "Nothing"),
        ]);
    }

    #[test]
    fn nothing_is_claimed_while_the_links_are_away() {
        for action in ["M3_1", "C3_1", "CR3", "E3"] {
            let executor = check([
                (Input::Execute(plan(action)), "check"),
                (Input::LinksAway("no emulator".to_owned()), "not now(no emulator) NotNow"),
            ]);
            assert!(executor.is_idle());
        }
    }

    #[test]
    fn what_the_surroundings_broke_off_is_given_up_and_not_called_a_failed_action() {
        check([
            (Input::Execute(plan("C3_1")), "check"),
            (Input::LinksThere, "claim"),
            (granted("C3_1"), "transfer"),
            (failed(FailureKind::Surroundings), "failed(away) abort(aborted)"),
            (Input::Aborted, "NotNow"),
        ]);
    }

    #[test]
    fn a_refused_commit_is_undone() {
        let refused = Input::Committed(Committed::Refused(Refused::LeaseLost(ReplicaId(1))));
        check([
            (Input::Execute(plan("C3_1")), "check"),
            (Input::LinksThere, "claim"),
            (granted("C3_1"), "transfer"),
            (Input::Transferred(Validators::default()), "commit"),
            (refused, "failed(the lease on replica 1 ran out and was taken) abort(aborted)"),
            (Input::Aborted, "Nothing"),
        ]);
    }

    #[test]
    fn what_has_an_unknown_outcome_is_left_to_recovery_and_never_said_to_have_failed() {
        let lost = || Input::Uncertain("lost".to_owned());
        let begun = || [(Input::Execute(plan("E3")), "check"), (Input::LinksThere, "claim")];
        check(begun().into_iter().chain([(lost(), "unknown(lost) Nothing")]));
        check(begun().into_iter().chain([(granted("E3"), "commit"), (lost(), "unknown(lost) Nothing")]));
    }

    #[test]
    fn a_commit_that_could_not_be_asked_for_is_undone() {
        check([
            (Input::Execute(plan("C3_1")), "check"),
            (Input::LinksThere, "claim"),
            (granted("C3_1"), "transfer"),
            (Input::Transferred(Validators::default()), "commit"),
            (Input::CommitFailed("gone".to_owned()), "failed(gone) abort(aborted)"),
            (Input::Aborted, "Nothing"),
        ]);
    }

    #[test]
    fn what_nobody_waits_for_changes_nothing_and_is_said() {
        check([
            (Input::Noted, "unexpected(the executor was told Noted while it was Idle)"),
            (Input::Execute(plan("M3_1")), "check"),
            (failed(FailureKind::Store), "unexpected(the executor was told TransferFailed while it was Checking)"),
            (Input::Execute(plan("E3")), "unexpected(the executor was told Execute while it was Checking)"),
            (Input::LinksThere, "claim"),
        ]);
    }

    #[test]
    fn a_stop_gives_up_a_transfer_and_finishes_everything_else() {
        check([
            (Input::Execute(plan("M3_1")), "check"),
            (Input::LinksThere, "claim"),
            (granted("M3_1"), "transfer"),
            (Input::Stop, "failed(the agent is stopping) abort(aborted)"),
            (Input::Transferred(Validators::default()), ""),
            (Input::Aborted, "Nothing"),
            (Input::Execute(plan("M3_1")), "Nothing"),
        ]);
        check([(Input::Execute(plan("M3_1")), "check"), (Input::Stop, ""), (Input::LinksThere, "Nothing")]);
        check([
            (Input::Execute(plan("M3_1")), "check"),
            (Input::LinksThere, "claim"),
            (granted("M3_1"), "transfer"),
            (Input::Transferred(Validators::default()), "commit"),
            (Input::Stop, ""),
            (done(), "done Acted"),
        ]);
    }
}
