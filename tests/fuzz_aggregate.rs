//! Arbitrary documents for the aggregate job, in arbitrary pieces and requests: the result, or the error, is that of the whole
//! document in one piece, and nothing panics.
//!
//! `PROPTEST_CASES=100000 cargo test --test fuzz_aggregate` looks for longer.

#[allow(dead_code, reason = "other tests ask for the rest")]
mod jobs_doubles;

use agent::jobs::Job;
use agent::jobs::aggregate::AggregateJob;
use jobs_doubles::{Object, OneObject};
use proptest::prelude::*;
use proptest::sample::select;
use std::num::NonZeroU64;

const PIECES: [&[u8]; 30] = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"\"a\"",
    b"\"b\"",
    b"\"\\u0061\"",
    b"1",
    b"-2.5e3",
    b"1e999",
    b"0x1",
    b"null",
    b"true",
    b"{\"a\":1}",
    b"{\"a\":2,\"b\":{\"a\":7}}",
    b"{\"a\":\"text\"}",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\"",
    b"\\",
    b"\xff",
    b"\xc3",
    b"\xa4",
    b"\x00",
    b"\"\\ud800\"",
    b"[[[[[[[[",
];

fn document() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::collection::vec(select(PIECES.to_vec()), 0..40).prop_map(|pieces| pieces.concat());
    let records = prop::collection::vec(
        select(vec!["{\"a\":1}", "{\"a\":null}", "{\"b\":2, \"a\":-0.5}", "7", "[{\"a\":1}]"]),
        0..20,
    );
    let array =
        (records, select(vec![",", ",\n", " ,\r\n ", "\n"]), any::<bool>()).prop_map(|(records, between, open)| {
            let text = records.join(between);
            if open { text.into_bytes() } else { format!("[{text}]").into_bytes() }
        });
    prop_oneof![pieces, array, prop::collection::vec(any::<u8>(), 0..200)]
}

/// The result with its counts, or the error, with a document that comes in such pieces and requests.
fn outcome(expression: &str, document: &[u8], piece_bytes: usize, request_bytes: u64) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = OneObject::new(Object::Bytes(document.to_vec().into()), piece_bytes);
    let job = AggregateJob::new(expression.parse().unwrap(), NonZeroU64::new(request_bytes).unwrap());
    match runtime.block_on(job.run(&store.source(0))) {
        Ok(report) => format!("{} of {}, without {}", report.result, report.records, report.skipped_records),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_and_requests_change_nothing(
        document in document(),
        piece_bytes in 1usize..50,
        request_bytes in 1u64..300,
        expression in select(vec!["avg(a)", "count(*)", "sum(b.a)", "max(a)", "quantile(a, 0.5)"]),
    ) {
        let whole = outcome(expression, &document, 1 << 20, 1 << 20);
        prop_assert_eq!(outcome(expression, &document, piece_bytes, request_bytes), whole);
    }
}
