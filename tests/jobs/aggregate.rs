//! The aggregate job over a store in memory.

use crate::doubles::{Object, OneObject};
#[allow(dead_code, reason = "other tests ask for the rest")]
use agent::data::blood_tests::BloodTests;
use agent::jobs::aggregate::AggregateJob;
use agent::jobs::{Job, JobError, JobReport};
use agent_core::domain::failure::FailureKind;
use bytes::Bytes;
use proptest::prelude::*;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

async fn run(expression: &str, request_bytes: u64, store: &Arc<OneObject>) -> Result<JobReport, JobError> {
    let job = AggregateJob::new(expression.parse().unwrap(), NonZeroU64::new(request_bytes).unwrap());
    job.run(&store.source(0)).await
}

/// Result, records, skipped records.
async fn aggregate(expression: &str, document: impl Into<Bytes>) -> (String, u64, u64) {
    let store = OneObject::new(Object::Bytes(document.into()), 10_000);
    let report = run(expression, 100_000, &store).await.unwrap();
    (report.result, report.records, report.skipped_records)
}

async fn failure(expression: &str, document: impl Into<Bytes>) -> String {
    let store = OneObject::new(Object::Bytes(document.into()), 10_000);
    let error = run(expression, 100_000, &store).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Data);
    error.to_string()
}

async fn malformed(document: impl Into<Bytes>) -> String {
    failure("avg(a)", document).await
}

#[tokio::test]
async fn the_published_average_comes_out_in_as_many_requests_as_there_are_ranges() {
    let data = BloodTests::new(11_075);
    let store = OneObject::new(Object::Generated(data), 16 * 1024);
    let report = run("avg(cholesterol)", 180_000, &store).await.unwrap();
    let average: f64 = report.result.parse().unwrap();
    assert!((average - 172.782_943_566_591_14).abs() < 1e-9, "{average}");
    // The published one was added up with rounding.
    assert_eq!(report.result, "172.78294356659143");
    assert_eq!((report.records, report.skipped_records), (11_075, 0));
    assert!(!report.execution_time.is_zero() && report.execution_time <= report.response_time);

    let requests = store.requests();
    assert_eq!(requests.len(), 36);
    assert_eq!(requests[0], 0..180_000);
    assert!(requests.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(requests[35], 6_300_000..6_441_964);
}

#[tokio::test]
async fn every_function_works_on_the_published_data() {
    let store = OneObject::new(Object::Generated(BloodTests::new(1800)), 16 * 1024);
    let check = async |expression: &str, expected: &str| {
        assert_eq!(run(expression, 180_000, &store).await.unwrap().result, expected, "{expression}");
    };
    check("count(*)", "1800").await;
    check("count(ssn)", "1800").await;
    check("count(HDL cholesterol)", "1800").await;
    check("min(cholesterol)", "76.8").await;
    check("max(cholesterol)", "275.3").await;
    check("quantile(cholesterol, 0.5)", "177.4").await;
    check("quantile(cholesterol, 1)", "275.3").await;
    check("sum(Hgb)", "20400").await;
}

#[tokio::test]
async fn the_result_depends_neither_on_requests_nor_on_pieces() {
    let data = BloodTests::new(3000);
    let mut results = Vec::new();
    for (request_bytes, piece_bytes) in [(180_000, 1000), (10_000_000, 10_000_000), (7, 7), (262_144, 65_536)] {
        let store = OneObject::new(Object::Generated(data), piece_bytes);
        let report = run("sum(Creatinine)", request_bytes, &store).await.unwrap();
        assert_eq!(store.requests().len() as u64, data.bytes().div_ceil(request_bytes));
        results.push(report.result);
    }
    assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
}

#[tokio::test]
async fn documents_whose_records_are_hard_to_find_are_read_all_the_same() {
    let check = async |record: &dyn Fn(u32) -> String, count: u32| {
        let records: Vec<String> = (0..count).map(record).collect();
        let sum: u64 = (0..u64::from(count)).sum();
        let expected = (sum.to_string(), u64::from(count), 0);
        assert_eq!(aggregate("sum(a)", format!("[{}]", records.join(","))).await, expected);
        assert_eq!(aggregate("sum(a)", records.join("\n")).await, expected);
    };
    // Nested objects and strings that look like records.
    check(&|i| format!(r#"{{"a":{i},"b":[{{"a":1}},{{"a":1}}],"c":"}},{{\"a\":1}},"}}"#), 20_000).await;
    check(&|i| format!(r#"{{"b":[{}{{"b":1}}],"a":{i}}}"#, r#"{"b":1},"#.repeat(1000)), 300).await;
    // Members in changing order.
    check(&|i| if i % 2 == 0 { format!(r#"{{"a":{i},"b":0}}"#) } else { format!(r#"{{"b":0,"a":{i}}}"#) }, 50_000)
        .await;
    // Records longer than a batch.
    check(&|i| format!(r#"{{"b":"{}","a":{i}}}"#, "ä\\\"".repeat(200_000)), 3).await;
    check(&|i| format!("{{\n\"b\":{}1{},\n\"a\":{i}\n}}", "[".repeat(100), "]".repeat(100)), 10_000).await;
}

#[tokio::test]
async fn records_that_are_no_objects_are_counted() {
    let numbers: Vec<String> = (0..300_000).map(|i| i.to_string()).collect();
    assert_eq!(aggregate("count(*)", format!("[{}]", numbers.join(","))).await, ("300000".to_owned(), 300_000, 0));
    assert_eq!(
        failure("sum(a)", numbers.join("\n")).await,
        "`blood_tests.json`: none of its 300000 records has a number in `a`: the first one is a number, not an object: 0"
    );
}

#[tokio::test]
async fn malformed_json_is_shown_by_its_byte_offset() {
    let record = r#"{"a":1,"b":"some text to make it longer"},"#;
    let good = format!("[{}", record.repeat(50_000));
    let at = good.len();
    let check = async |rest: &str, offset: usize, reason: &str| {
        let expected = format!("`blood_tests.json` is not valid JSON at byte {offset}: {reason}");
        let after = record.repeat(20_000);
        assert_eq!(malformed(format!("{good}{rest}{after}{{}}]")).await, expected);
    };
    check(r#"{"a":x},"#, at + 5, "expected value").await;
    check(r#"{"a":1}"#, at + 7, "expected `,` or `]` after a record").await;
    check(r#"{"a":1}],"#, at + 8, "expected nothing after the array").await;
    check(",", at, "expected value").await;
    check("{\"a\":\"\u{1}\"},", at + 6, "control character (\\u0000-\\u001F) found while parsing a string").await;
    let unfinished =
        format!("`blood_tests.json` is not valid JSON at byte {at}: the object ends before the array does");
    assert_eq!(malformed(good).await, unfinished);
}

#[tokio::test]
async fn a_record_without_end_does_not_fill_the_memory() {
    let error = malformed(format!("[1,{{\"a\":\"{}", "x".repeat(17 << 20))).await;
    let expected =
        "`blood_tests.json` is not valid JSON at byte 3: the record that begins here is longer than 16777216 bytes";
    assert_eq!(error, expected);
}

#[tokio::test]
async fn a_store_that_keeps_bytes_back_is_named() {
    let store = OneObject::new(Object::Generated(BloodTests::new(1000)), 1000);
    store.withhold(5);
    match run("avg(a)", 100_000, &store).await.unwrap_err() {
        JobError::Storage(error) => assert_eq!(
            error.to_string(),
            "http://in-memory: `blood_tests.json` is damaged: the last 5 bytes of the range 0..100000 did not come"
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(store.requests().len(), 1);
}

#[tokio::test]
async fn a_field_that_no_record_has_fails_the_job_and_shows_what_they_have() {
    let store = OneObject::new(Object::Generated(BloodTests::new(1000)), 16 * 1024);
    let error = run("avg(cholestrol)", 180_000, &store).await.unwrap_err();
    assert!(matches!(error, JobError::Unusable { .. }), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Data);
    let message = error.to_string();
    let none =
        "`blood_tests.json`: none of its 1000 records has a number in `cholestrol`: the first one has the members";
    assert!(message.starts_with(none), "{message}");
    assert!(message.ends_with("; did you mean `cholesterol`?"), "{message}");
    for expression in ["count(cholestrol)", "sum(cholestrol)", "min(ssn)", "quantile(cholesterol.x, 0.5)"] {
        assert!(run(expression, 180_000, &store).await.is_err(), "{expression}");
    }
}

#[tokio::test]
async fn one_usable_record_is_enough() {
    let records = vec![r#"{"b":1}"#; 50_000].join("\n") + "\n{\"a\":7}";
    assert_eq!(aggregate("avg(a)", records).await, ("7".to_owned(), 50_001, 50_000));
}

#[tokio::test]
async fn an_array_without_records_is_computed_with_and_an_object_without_anything_is_not() {
    for (expression, result) in [("count(*)", "0"), ("count(a)", "0"), ("sum(a)", "0"), ("avg(a)", "null")] {
        assert_eq!(aggregate(expression, "[ ]\n").await, (result.to_owned(), 0, 0));
    }
    for nothing in [" \n".repeat(5000), "\u{feff}".to_owned()] {
        let error = failure("count(*)", nothing).await;
        assert!(error.starts_with("`blood_tests.json`: it is empty; accepted are a JSON array"), "{error}");
    }
    let store = OneObject::new(Object::Bytes(Bytes::new()), 1000);
    let error = run("count(*)", 100_000, &store).await.unwrap_err();
    assert_eq!((error.kind(), store.requests().len()), (FailureKind::Data, 0));
}

#[tokio::test]
async fn whole_numbers_keep_their_value_and_nothing_becomes_of_finite_ones() {
    let ids = "{\"id\":9007199254740993}\n{\"id\":9007199254740995}\n{\"id\":9007199254740997}\n";
    let check = async |expression: &str, document: &str, expected: &str| {
        assert_eq!(aggregate(expression, document.to_owned()).await.0, expected, "{expression}");
    };
    check("max(id)", ids, "9007199254740997").await;
    check("min(id)", ids, "9007199254740993").await;
    check("sum(id)", ids, "27021597764222985").await;
    check("count(id)", ids, "3").await;
    let large = r#"[{"price":1.5e308},{"price":1.5e308}]"#;
    check("avg(price)", large, "1.5e308").await;
    check("sum(price)", large, "inf").await;
    check("sum(price)", r#"[{"price":1.5e308},{"price":1.5e308},{"price":-1.5e308}]"#, "1.5e308").await;
}

#[tokio::test]
async fn rounding_does_not_depend_on_where_batches_end() {
    // Neither order nor pairs of these give what is right, when each addition rounds.
    let numbers: Vec<String> = (0..40_000).map(|i| format!("1e{}", (i * 7) % 300)).collect();
    let record = |number: &String, sign: &str| format!("{{\"a\":{sign}{number},\"b\":\"{}\"}}", "x".repeat(30));
    let mut records: Vec<String> = numbers.iter().map(|number| record(number, "")).collect();
    records.push(record(&"0.1".to_owned(), ""));
    records.extend(numbers.iter().rev().map(|number| record(number, "-")));
    assert_eq!(aggregate("sum(a)", records.join("\n")).await.0, "0.1");
}

/// The first byte that no valid document has there, found one beginning after the other with serde_json alone.
fn first_wrong_byte(document: &str) -> usize {
    let is_wrong = |end: &usize| {
        let document: Result<serde_json::Value, _> = serde_json::from_str(&document[..*end]);
        document.is_err_and(|error| !error.is_eof())
    };
    (1..=document.len()).find(is_wrong).map_or(document.len(), |end| end - 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_changed_byte_is_found_or_harmless(at in 0_usize..200, byte in prop::sample::select(b"{}[],:\"0x \n\\-.e".to_vec())) {
        let mut document = br#"[{"a":1.5,"b":{"c":[true,null,"x\n"]}}, {"b":[],"a":-2e1},
            {"a":"text","c":{}},{"a":0.25,"d":[1,[2,{"e":"\u00e4"}]]}]"#.to_vec();
        let at = at % document.len();
        // A changed first byte makes lines of the array.
        prop_assume!(at > 0);
        document[at] = byte;
        let text = String::from_utf8(document.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = OneObject::new(Object::Bytes(document.into()), 7);
        let outcome = runtime.block_on(run("count(*)", 50, &store));
        match serde_json::from_str::<Vec<serde_json::Value>>(&text) {
            Ok(records) => prop_assert_eq!(outcome.unwrap().records, records.len() as u64),
            Err(_) => match outcome.unwrap_err() {
                JobError::Malformed { offset, .. } => prop_assert_eq!(offset, first_wrong_byte(&text) as u64, "{}", text),
                other => prop_assert!(false, "{:?}", other),
            },
        }
    }
}

#[tokio::test]
async fn several_data_sets_are_read_in_turn_and_their_records_are_one_crowd() {
    let stores =
        [r#"[{"a": 1}, {"a": 2}]"#, r#"[{"a": 9}]"#].map(|text| OneObject::new(Object::Bytes(text.into()), 4096));
    let sources = stores.each_ref().map(|store| store.source(0));
    let job = AggregateJob::new("avg(a)".parse().unwrap(), NonZeroU64::new(100).unwrap());
    let report = job.run_over(&sources).await.unwrap();
    assert_eq!((report.result.as_str(), report.records), ("4", 3));
    assert_eq!(report.parts.iter().map(|part| part.records).collect::<Vec<_>>(), [2, 1]);
    let parts: Duration = report.parts.iter().map(|part| part.time).sum();
    assert!(parts <= report.execution_time && report.parts.iter().all(|part| part.time > Duration::ZERO));
    // Which of them it failed for is known.
    stores[1].withhold(1);
    let failed = job.run_over(&sources).await.unwrap_err();
    assert_eq!((failed.part, failed.error.kind()), (1, FailureKind::ChangedData));
    let alone = job.run(&sources[0]).await.unwrap();
    assert_eq!((alone.result.as_str(), alone.parts), ("1.5", Vec::new()));
}
