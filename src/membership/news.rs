//! What people are told of what a member notices.

use super::Shared;
use crate::actors::Notice;
use agent_membership::Event;
use agent_membership::udp::Told;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Until the member ends.
pub async fn tell(shared: Arc<Shared>, mut told: mpsc::Receiver<Told>) {
    while let Some(told) = told.recv().await {
        tracing::debug!(agent = %shared.wanted.agent, ?told, "membership");
        if let Told::Event(Event::IncarnationRaised(incarnation)) = told
            && let Err(error) = shared.files.keep_incarnation(incarnation)
        {
            shared.wanted.trouble(format!("{error:#}"));
        }
        match news(&told) {
            Some(News::Peer(what)) => (shared.wanted.notify)(Notice::Peer { agent: shared.wanted.agent, what }),
            Some(News::Trouble(what)) => shared.wanted.trouble(what),
            None => {}
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum News {
    /// What happens in networks.
    Peer(String),
    /// What somebody should do something about.
    Trouble(String),
}

/// Not everything: who comes is seen by `agent members`, and who is suspected answers in most cases.
fn news(told: &Told) -> Option<News> {
    let event = match told {
        Told::Event(event) => event,
        Told::Unresolved { seed, problem } => {
            let what = format!("`{seed}` in `[membership] join` does not resolve: {problem}; it is tried again");
            return Some(News::Trouble(what));
        }
        Told::NotSent { to, bytes, problem } => {
            let what = format!(
                "a datagram of {bytes} bytes to {to} is not sent: {problem}; is there a way, and does it carry 1,400 bytes?"
            );
            return Some(News::Trouble(what));
        }
    };
    match event {
        Event::Joined(_)
        | Event::Suspected(_)
        | Event::Refuted(_)
        | Event::Forgotten(_)
        | Event::IncarnationRaised(_) => None,
        Event::Restarted(node) => Some(News::Peer(format!("node {node} has started again"))),
        Event::Moved(node) => Some(News::Peer(format!("node {node} has another address"))),
        Event::Died(node) => Some(News::Peer(format!("node {node} answers nobody any more"))),
        Event::Returned(node) => Some(News::Peer(format!("node {node} answers again"))),
        Event::Left(node) => Some(News::Peer(format!("node {node} has left"))),
        Event::FanOut(peers) => Some(News::Peer(format!("talks to {peers} peers in each interval from now on"))),
        Event::KeyRefused { node, address } => Some(News::Trouble(format!(
            "somebody at {address} calls itself node {node}, with another key than node {node} has, and is not believed; give one \
             of the two another number, or, if its key file was lost, let go of the former key with `agent members --forget {node}`"
        ))),
        Event::NumberTaken { address } => Some(News::Trouble(format!(
            "{address} is this node's number with another key, and others do not believe this one; give one of the two another \
             number, or, if this one's key file was lost, let go of the former key with `agent members --forget`"
        ))),
        Event::ClockOff { node, ahead_us } => {
            let apart = agent_core::domain::units::show_duration(Duration::from_micros(ahead_us.unsigned_abs()));
            let side = if *ahead_us > 0 { "ahead of" } else { "behind" };
            Some(News::Trouble(format!(
                "the clock of node {node} is {apart} {side} this machine's; keep both with NTP: until then what it says of itself \
                 may look too old to be believed"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use agent_membership::NodeId;

    #[test]
    fn what_somebody_should_do_something_about_says_what() {
        let trouble = |event: Event| match news(&Told::Event(event)) {
            Some(News::Trouble(what)) => what,
            other => panic!("{other:?}"),
        };
        let behind = trouble(Event::ClockOff { node: NodeId(3), ahead_us: -7_200_000_000 });
        assert!(
            behind.starts_with("the clock of node 3 is 2 h 0 min behind this machine's; keep both with NTP"),
            "{behind}"
        );
        let refused = trouble(Event::KeyRefused { node: NodeId(3), address: ([10, 0, 0, 9], 7946).into() });
        assert!(refused.contains("10.0.0.9:7946") && refused.contains("agent members --forget 3"), "{refused}");
        assert_eq!(news(&Told::Event(Event::Joined(NodeId(2)))), None);
        let died = news(&Told::Event(Event::Died(NodeId(2))));
        assert_eq!(died, Some(News::Peer("node 2 answers nobody any more".to_owned())));
    }
}
