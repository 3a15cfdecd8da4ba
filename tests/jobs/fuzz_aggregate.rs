//! Arbitrary documents for the aggregate job, in arbitrary pieces and requests: the result, or the error, is that of the whole
//! document in one piece, and nothing panics. The same around the records, and compressed; damaged compressed data gives no
//! other result.
//!
//! `PROPTEST_CASES=100000 cargo test --test fuzz_aggregate` looks for longer.

use crate::doubles::{Object, OneObject};
#[allow(dead_code, reason = "other tests ask for the rest")]
use agent::jobs::Job;
use agent::jobs::aggregate::AggregateJob;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use proptest::sample::select;
use std::io::Write as _;
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
fn outcome(job: &AggregateJob, document: &[u8], piece_bytes: usize) -> Result<String, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = OneObject::new(Object::Bytes(document.to_vec().into()), piece_bytes);
    match runtime.block_on(job.run(&store.source(0))) {
        Ok(report) => Ok(format!("{} of {}, without {}", report.result, report.records, report.skipped_records)),
        Err(error) => Err(error.to_string()),
    }
}

fn job(expression: &str, path: &str, request_bytes: u64) -> AggregateJob {
    AggregateJob::new(expression.parse().unwrap(), NonZeroU64::new(request_bytes).unwrap())
        .within(path.parse().unwrap())
}

fn compressed(document: &[u8], with_zstd: bool) -> Vec<u8> {
    if with_zstd {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(document).unwrap();
        return encoder.finish().unwrap();
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(document).unwrap();
    encoder.finish().unwrap()
}

const EXPRESSIONS: [&str; 5] = ["avg(a)", "count(*)", "sum(b.a)", "max(a)", "quantile(a, 0.5)"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_and_requests_change_nothing(
        document in document(),
        piece_bytes in 1usize..50,
        request_bytes in 1u64..300,
        expression in select(EXPRESSIONS.to_vec()),
        path in select(vec!["$", "$.a", "$.b.a"]),
    ) {
        let whole = outcome(&job(expression, path, 1 << 20), &document, 1 << 20);
        prop_assert_eq!(outcome(&job(expression, path, request_bytes), &document, piece_bytes), whole);
    }

    #[test]
    fn records_within_an_object_are_the_same_records(
        document in document(),
        piece_bytes in 1usize..50,
        expression in select(EXPRESSIONS.to_vec()),
    ) {
        let alone = outcome(&job(expression, "$", 1 << 20), &document, 1 << 20);
        let around = [b"{\"b\":[{}],\"a\":{\"b\":0,\"a\":".to_vec(), document.clone(), b"},\"c\":[1]}".to_vec()].concat();
        let within = outcome(&job(expression, "$.a.a", 300), &around, piece_bytes);
        if document.trim_ascii().starts_with(b"[") && alone.is_ok() {
            prop_assert_eq!(within, alone);
        }
    }

    #[test]
    fn compressed_documents_are_the_same_documents(
        document in document(),
        with_zstd in any::<bool>(),
        piece_bytes in 1usize..50,
        damage in prop::option::of((any::<prop::sample::Index>(), 1_u8..)),
        expression in select(EXPRESSIONS.to_vec()),
    ) {
        let plain = outcome(&job(expression, "$", 1 << 20), &document, 1 << 20);
        let mut object = compressed(&document, with_zstd);
        if let Some((at, bits)) = &damage {
            let at = at.index(object.len());
            object[at] ^= bits;
        }
        match (outcome(&job(expression, "$", 300), &object, piece_bytes), damage) {
            (Ok(result), None) => prop_assert_eq!(Ok(result), plain),
            (Err(_), None) => prop_assert!(plain.is_err()),
            // Not every byte of a header says something about the content.
            (Ok(result), Some(_)) => prop_assert_eq!(Ok(result), plain),
            (Err(_), Some(_)) => {}
        }
    }
}
