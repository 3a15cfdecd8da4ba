//! How a request ended.

/// How one request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// With an answer, of any status; `bytes` are of its body.
    Answered { status: u16, bytes: u64 },
    /// Nobody listens there.
    Refused,
    /// Not within [`timeout`](super::Bounds::timeout).
    TimedOut,
    /// The connection ended before the answer did.
    Closed,
    /// What came is not HTTP/1.1.
    Garbage,
    /// There was no host, its name was not found, or no way leads there.
    Unreachable,
    /// Never sent: the client had too many in flight.
    Dropped,
    /// The run was stopped before it ended.
    Unfinished,
}

/// What outcomes are counted by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// Below 400.
    Answered,
    /// 400 to 499.
    ClientError,
    /// 500 and more.
    ServerError,
    Refused,
    TimedOut,
    Closed,
    Garbage,
    Unreachable,
    Dropped,
    Unfinished,
}

impl Kind {
    /// In the order of their declaration.
    pub const ALL: [Kind; 10] = [
        Kind::Answered,
        Kind::ClientError,
        Kind::ServerError,
        Kind::Refused,
        Kind::TimedOut,
        Kind::Closed,
        Kind::Garbage,
        Kind::Unreachable,
        Kind::Dropped,
        Kind::Unfinished,
    ];

    /// As figures and traces call it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Answered => "answered",
            Kind::ClientError => "client_error",
            Kind::ServerError => "server_error",
            Kind::Refused => "refused",
            Kind::TimedOut => "timed_out",
            Kind::Closed => "closed",
            Kind::Garbage => "garbage",
            Kind::Unreachable => "unreachable",
            Kind::Dropped => "dropped",
            Kind::Unfinished => "unfinished",
        }
    }

    pub fn is_error(self) -> bool {
        self != Kind::Answered
    }
}

impl Outcome {
    pub fn kind(self) -> Kind {
        match self {
            Outcome::Answered { status: ..400, .. } => Kind::Answered,
            Outcome::Answered { status: 400..500, .. } => Kind::ClientError,
            Outcome::Answered { status: 500.., .. } => Kind::ServerError,
            Outcome::Refused => Kind::Refused,
            Outcome::TimedOut => Kind::TimedOut,
            Outcome::Closed => Kind::Closed,
            Outcome::Garbage => Kind::Garbage,
            Outcome::Unreachable => Kind::Unreachable,
            Outcome::Dropped => Kind::Dropped,
            Outcome::Unfinished => Kind::Unfinished,
        }
    }

    /// Whether its time says how long an answer takes: that of an answer does, and so does that of a request which was
    /// given up, which took at least so long. A refusal is no answer, and the faster for it.
    pub fn has_response_time(self) -> bool {
        match self {
            Outcome::Answered { .. } | Outcome::TimedOut | Outcome::Unfinished => true,
            Outcome::Refused | Outcome::Closed | Outcome::Garbage | Outcome::Unreachable | Outcome::Dropped => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_400_and_more_is_an_error_of_its_class() {
        let kind = |status| Outcome::Answered { status, bytes: 0 }.kind().name();
        assert_eq!(
            [200, 399, 400, 499, 500, 999].map(kind),
            ["answered", "answered", "client_error", "client_error", "server_error", "server_error"]
        );
    }

    #[test]
    fn kinds_are_listed_in_their_order_and_names_differ() {
        assert!(Kind::ALL.iter().enumerate().all(|(index, kind)| *kind as usize == index));
        let names: std::collections::BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), Kind::ALL.len());
    }
}
