//! Conditions on what is read (RFC 9110, section 13): by its ETag, else by its time.

use s3s::dto::{ETag, ETagCondition, Timestamp};

/// What a request makes its answer depend on.
#[derive(Clone, Copy, Default, Debug)]
pub struct Conditions<'r> {
    pub if_match: Option<&'r ETagCondition>,
    pub if_none_match: Option<&'r ETagCondition>,
    pub if_modified_since: Option<&'r Timestamp>,
    pub if_unmodified_since: Option<&'r Timestamp>,
}

/// How it is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Answer,
    NotModified,
    Failed,
}

impl Conditions<'_> {
    /// Of an object with this ETag, and this time in whole seconds, as HTTP has them.
    pub fn verdict(&self, etag: &ETag, modified: &Timestamp) -> Verdict {
        let is_it = |condition: &ETagCondition| {
            condition.is_any() || condition.as_etag().is_some_and(|asked| asked.weak_cmp(etag))
        };
        let is_as_asked = match (self.if_match, self.if_unmodified_since) {
            (Some(condition), _) => is_it(condition),
            (None, Some(at)) => modified <= at,
            (None, None) => true,
        };
        let is_known = match (self.if_none_match, self.if_modified_since) {
            (Some(condition), _) => is_it(condition),
            (None, Some(at)) => modified <= at,
            (None, None) => false,
        };
        match (is_as_asked, is_known) {
            (false, _) => Verdict::Failed,
            (true, true) => Verdict::NotModified,
            (true, false) => Verdict::Answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    fn at(seconds: u64) -> Timestamp {
        (SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).into()
    }

    #[test]
    fn an_etag_counts_for_more_than_a_time() {
        let is = |etag: &str| Some(ETagCondition::ETag(ETag::Strong(etag.to_owned())));
        let check = |[matched, not]: [Option<ETagCondition>; 2], since: Option<u64>, until: Option<u64>, expected| {
            let (since, until) = (since.map(at), until.map(at));
            let conditions = Conditions {
                if_match: matched.as_ref(),
                if_none_match: not.as_ref(),
                if_modified_since: since.as_ref(),
                if_unmodified_since: until.as_ref(),
            };
            assert_eq!(conditions.verdict(&ETag::Strong("a".to_owned()), &at(100)), expected, "{conditions:?}");
        };
        check([None, None], None, None, Verdict::Answer);
        check([is("a"), None], None, None, Verdict::Answer);
        check([Some(ETagCondition::Any), None], None, None, Verdict::Answer);
        check([is("b"), None], None, None, Verdict::Failed);
        check([is("a"), None], None, Some(99), Verdict::Answer);
        check([None, None], None, Some(99), Verdict::Failed);
        check([None, None], None, Some(100), Verdict::Answer);
        check([None, is("a")], None, None, Verdict::NotModified);
        check([None, is("b")], Some(100), None, Verdict::Answer);
        check([None, None], Some(100), None, Verdict::NotModified);
        check([None, None], Some(99), None, Verdict::Answer);
        check([is("b"), is("a")], None, None, Verdict::Failed);
    }
}
