//! The aggregate job on objects as people have them: compressed, with a byte order mark, around the records, or something else.

use crate::doubles::{Object, OneObject};
#[allow(dead_code, reason = "other tests ask for the rest")]
use agent::data::blood_tests::BloodTests;
use agent::jobs::aggregate::AggregateJob;
use agent::jobs::{Job, JobError, JobReport};
use agent_core::domain::failure::FailureKind;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::num::NonZeroU64;

async fn run(job: AggregateJob, object: Vec<u8>, piece_bytes: usize) -> Result<JobReport, JobError> {
    job.run(&OneObject::new(Object::Bytes(object.into()), piece_bytes).source(0)).await
}

fn job(expression: &str) -> AggregateJob {
    AggregateJob::new(expression.parse().unwrap(), NonZeroU64::new(100_000).unwrap())
}

/// The result and the records, in pieces of any length.
#[track_caller]
fn check(path: &str, object: &[u8], expected: Result<(&str, u64), &str>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for piece_bytes in [3, 10_000, 10_000_000] {
        let job = job("sum(a)").within(path.parse().unwrap());
        let outcome = runtime.block_on(run(job, object.to_vec(), piece_bytes));
        let outcome = outcome.map(|report| (report.result, report.records)).map_err(|error| {
            assert_eq!(error.kind(), FailureKind::Data);
            error.to_string()
        });
        let expected = expected.map(|(result, records)| (result.to_owned(), records)).map_err(str::to_owned);
        assert_eq!(outcome, expected, "in pieces of {piece_bytes}");
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(content, 1).unwrap()
}

fn blood_tests(records: u64) -> Vec<u8> {
    let mut content = Vec::new();
    BloodTests::new(records).generate(&mut content).unwrap();
    content
}

const ACCEPTED: &str =
    "accepted are a JSON array of records or newline-delimited JSON, as it is or compressed with gzip or zstd";

#[test]
fn a_byte_order_mark_is_skipped() {
    let document = b"[{\"a\":1},{\"a\":2}]";
    let marked = [b"\xef\xbb\xbf", &document[..]].concat();
    check("$", &marked, Ok(("3", 2)));
    check("$", &gzip(&marked), Ok(("3", 2)));
    check("$.a", b"\xef\xbb\xbf{\"a\":[{\"a\":1}]}", Ok(("1", 1)));
    let wrong = [&marked[..marked.len() - 1], b"}"].concat();
    let expected = "`blood_tests.json` is not valid JSON at byte 19: expected `,` or `]` after a record";
    check("$", &wrong, Err(expected));
}

#[tokio::test]
async fn compressed_objects_give_what_they_hold_in_as_many_requests_as_there_are_ranges() {
    let plain = blood_tests(11_075);
    for object in [gzip(&plain), zstd(&plain), [gzip(&plain[..1_000_000]), gzip(&plain[1_000_000..])].concat()] {
        let bytes = object.len() as u64;
        let store = OneObject::new(Object::Bytes(object.into()), 16 * 1024);
        let report = job("avg(cholesterol)").run(&store.source(11_075)).await.unwrap();
        assert_eq!(report.result, "172.78294356659143");
        assert_eq!((report.records, report.skipped_records), (11_075, 0));
        let requests = store.requests();
        assert_eq!(requests.len() as u64, bytes.div_ceil(100_000));
        assert!(requests.windows(2).all(|pair| pair[0].end == pair[1].start));
    }
}

#[test]
fn compressed_objects_that_are_cut_short_or_damaged_fail_the_job() {
    let plain = b"[{\"a\":1},{\"a\":2}]".to_vec();
    let gzip = gzip(&plain);
    let zstd = zstd(&plain);
    let cut = "data ends in the middle, as after an upload that was cut short";
    check("$", &gzip[..gzip.len() - 9], Err(&format!("`blood_tests.json`: its gzip {cut}")));
    check("$", &zstd[..zstd.len() - 1], Err(&format!("`blood_tests.json`: its zstd {cut}")));
    let mut wrong = gzip.clone();
    wrong[gzip.len() - 5] ^= 1;
    let damaged = "data is damaged: corrupt gzip stream does not have a matching checksum";
    check("$", &wrong, Err(&format!("`blood_tests.json`: its gzip {damaged}")));
    check(
        "$",
        &[&gzip[..], b"[]"].concat(),
        Err("`blood_tests.json`: its gzip data is damaged: something else follows"),
    );
}

#[test]
fn where_compressed_json_is_wrong_is_counted_in_what_it_holds() {
    let counted = "(counted in what its gzip data holds)";
    let expected = format!("`blood_tests.json` is not valid JSON at byte 6: expected value {counted}");
    check("$", &gzip(b"[{\"a\":x}]"), Err(&expected));
    check(
        "$",
        &gzip(b"id,a\n1,2\n"),
        Err(&format!("`blood_tests.json`: it looks like CSV: its first line is `id,a`; {ACCEPTED}")),
    );
    check("$", &gzip(&gzip(b"[]")), Err(&format!("`blood_tests.json`: it looks like gzip; {ACCEPTED}")));
    check("$", &gzip(b""), Err(&format!("`blood_tests.json`: it is empty; {ACCEPTED}")));
}

#[test]
fn a_decompression_bomb_is_one_long_record() {
    let mut bomb = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(b"[1,\"").unwrap();
    (0..40).for_each(|_| bomb.write_all(&[b'x'; 1 << 20]).unwrap());
    let bomb = bomb.finish().unwrap();
    assert!(bomb.len() < 1 << 20);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(run(job("sum(a)"), bomb, 1 << 20)).unwrap_err();
    assert!(error.to_string().contains("the record that begins here is longer than 16777216 bytes"), "{error}");
}

#[test]
fn what_is_something_else_is_named() {
    let check = |object: &[u8], appearance: &str| {
        check("$", object, Err(&format!("`blood_tests.json`: it looks like {appearance}; {ACCEPTED}")));
    };
    check(b"id,a\n1,2.5\n2,3.5\n", "CSV: its first line is `id,a`");
    check(b"1,2.5\n2,3.5\n", "CSV: its first line is `1,2.5`");
    check(b"\"id\";\"a\"\n1;2\n", "CSV with semicolons: its first line is `\"id\";\"a\"`");
    check(&[b"PAR1", &[0x15, 0x04][..], &[0; 2000]].concat(), "Parquet");
    check(b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML, a page for browsers");
    check(b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "XML");
    check(b"Meeting notes\nof Monday", "plain text: its first line is `Meeting notes`");
    check(b"BZh91AY&SY", "bzip2");
}

#[test]
fn an_object_around_the_records_is_told_and_read_with_a_path() {
    let around = |path: &str| {
        format!(
            "`blood_tests.json`: it is one object around an array; path = \"{path}\" in [job] reads the array's elements as the records"
        )
    };
    let wrapped = br#"{"count":2,"data":[{"a":1},{"a":2}],"next":null}"#;
    check("$", wrapped, Err(&around("$.data")));
    check("$.data", wrapped, Ok(("3", 2)));
    check("$.data[*]", &zstd(wrapped), Ok(("3", 2)));
    let inner = br#"{"meta":{"ids":[1,2]},"response":{"the items":[{"a":1},{"a":2}]}}"#;
    check("$", inner, Err(&around("$.response['the items']")));
    check("$.response['the items']", inner, Ok(("3", 2)));
    check(
        "$.meta.ids",
        inner,
        Err(
            "`blood_tests.json`: none of its 2 records has a number in `a`: the first one is a number, not an object: 1",
        ),
    );
    check(
        "$.dta",
        wrapped,
        Err("`blood_tests.json`: there is nothing at `$.dta`: `$` has the members `count`, `data`, `next`"),
    );
    check(
        "$.data",
        b"[{\"a\":1}]",
        Err("`blood_tests.json`: it is an array itself, not an object around one: leave out path = \"$.data\""),
    );
    check(
        "$.data",
        b"id,a\n1,2\n",
        Err(&format!("`blood_tests.json`: it looks like CSV: its first line is `id,a`; {ACCEPTED}")),
    );
    check("$.data", b"", Err(&format!("`blood_tests.json`: it is empty; {ACCEPTED}")));
}

#[test]
fn long_objects_around_the_records_are_read_in_batches() {
    let records: Vec<String> =
        (0..60_000).map(|i| format!("{{\"a\":{i},\"b\":[{{\"a\":0}}],\"c\":\"]}}\"}}")).collect();
    let records = records.join(",\n");
    let sum: u64 = (0..60_000).sum();
    let filler = "[1,\"x]\"],\n".repeat(60_000);
    let wrapped = format!("{{\"before\":[{filler}0],\"data\":[{records}],\"after\":[{filler}0]}}");
    check("$.data", wrapped.as_bytes(), Ok((&sum.to_string(), 60_000)));
    let broken = wrapped.len() - 2;
    let wrong = format!("{} }}}}", &wrapped[..broken]);
    let expected = format!("`blood_tests.json` is not valid JSON at byte {}: expected `,` or `]`", broken + 1);
    check("$.data", wrong.as_bytes(), Err(&expected));
    let cut = &wrapped[..broken];
    let expected = format!(
        "`blood_tests.json` is not valid JSON at byte {broken}: the object ends before the one around the records does"
    );
    check("$.data", cut.as_bytes(), Err(&expected));
}

#[test]
fn a_long_object_around_the_records_is_told_as_such_too() {
    let record = format!("{{\"a\":1,\"b\":\"{}\"}},", "x".repeat(1000));
    let wrapped = format!("{{\"count\":20000,\"data\":[{}{{\"a\":1}}]}}", record.repeat(20_000));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let error = runtime.block_on(run(job("sum(a)"), wrapped.into_bytes(), 1 << 20)).unwrap_err();
    assert!(
        error.to_string().ends_with("path = \"$.data\" in [job] reads the array's elements as the records"),
        "{error}"
    );
}
