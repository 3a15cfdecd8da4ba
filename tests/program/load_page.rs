//! The page of load in a real browser: a curve is drawn by keyboard, saved, read again and queued.

use super::api::Demo;
use super::load::Server;
use super::page::{Browser, ENTER};
use crate::network::process::succeed;
use crate::network::{PATIENCE, text, wait_until};
use serde_json::{Value, json};
use std::fs;

const UP: &str = "\u{e013}";
const DOWN: &str = "\u{e015}";
const RIGHT: &str = "\u{e014}";
const DELETE: &str = "\u{e017}";

/// Types over what stands in a field of the design.
fn fill(browser: &Browser, name: &str, value: &str) {
    browser.run(&format!(
        "const field = document.getElementById('design').elements['{name}']; field.focus(); field.select()"
    ));
    browser.press(value);
}

fn point(index: usize) -> String {
    format!("document.querySelectorAll('#points circle')[{index}]")
}

const FILE: &str = "document.getElementById('text').value";
const POINTS: &str = "document.querySelectorAll('#points circle').length";
const TOLD: &str = "document.getElementById('told').textContent";
const EXPERIMENTS: &str = "document.getElementById('experiments').innerText";

#[test]
fn a_load_is_drawn_saved_read_and_queued_by_keyboard() {
    let (demo, server) = (Demo::start(), Server::start(true));
    let Some(browser) = Browser::start(&demo) else {
        eprintln!("SKIPPED: chromedriver is not installed (apt-get install chromium chromium-driver)");
        return;
    };
    let saved = demo.place.path().join("saved");
    fs::create_dir(&saved).expect("a folder");
    browser.resize(1400, 900);
    browser.saves_to(&saved);
    browser.open(&demo.url());
    browser.tab_to("document.querySelector('nav a[href=\"/load\"]')");
    browser.press(ENTER);
    browser.waits_for("it is live", "return document.getElementById('live')?.textContent === 'live'");
    assert_eq!(
        browser.run("return document.querySelectorAll('#ticks path').length"),
        json!(1),
        "a first curve is drawn"
    );

    // Nothing is checked without a token.
    fill(&browser, "name", "drawn");
    let sends = "document.getElementById('sends').textContent";
    browser.waits_for("it is refused", &format!("return {sends}.includes('no token was shown')"));
    browser.run("document.getElementById('token').focus()");
    browser.press(&format!("{}{ENTER}", demo.token));
    browser.waits_for("it is checked now", &format!("return {FILE}.includes('name = \"drawn\"')"));

    // Points are moved, added and removed; what comes of it is counted by the server.
    for (name, value) in
        [("hosts", server.address.to_string().as_str()), ("max_per_s", "20"), ("interval", "500 ms"), ("over", "2 s")]
    {
        fill(&browser, name, value);
    }
    browser.run(
        "for (const [name, value] of [['kind', 'linear'], ['within_ticks', 'constant']]) { \
         const field = document.getElementById('design').elements[name]; field.value = value; \
         field.dispatchEvent(new Event('input', {bubbles: true})); }",
    );
    browser.tab_to(&point(1));
    browser.press(&format!("{DOWN}{DOWN}{RIGHT}{ENTER}"));
    browser.waits_for("a point is added", &format!("return {POINTS} === 4 && document.activeElement === {}", point(2)));
    browser.press(UP);
    browser.press(DELETE);
    browser.waits_for("it is removed", &format!("return {POINTS} === 3"));
    let curve = "max = 20, points = [[0, 0.1], [0.51, 0.98], [1, 0.2]]";
    browser.waits_for(
        "the file says it",
        &format!("return {FILE}.includes('{curve}') && {FILE}.includes('over = \"2 s\"')"),
    );
    browser.waits_for("it is counted", &format!("return {sends} === '18 requests in all; 4 ticks of 0.5 s'"));

    // What is wrong stands at its field.
    fill(&browser, "over", "soon");
    let fault = "document.getElementById('fault-over').textContent";
    browser.waits_for("it is blamed", &format!("return {fault}.includes('`soon` has no number')"));
    fill(&browser, "over", "2 s");
    browser.waits_for("it is fine", &format!("return {fault} === '' && {sends}.startsWith('18 requests')"));

    // It is saved as the command takes it; whatever was drawn since, read again it is the same.
    browser.tab_to("document.getElementById('export')");
    browser.press(ENTER);
    let file = saved.join("drawn.toml");
    wait_until("it is saved", PATIENCE, || {
        fs::read_to_string(&file).is_ok_and(|text| text.ends_with("over = \"2 s\"\n"))
    });
    let exported = fs::read_to_string(&file).expect("it is there");
    assert_eq!(browser.run(&format!("return {FILE}")), json!(exported));
    let checked = succeed(demo.place.path(), &["load", "check", text(&file)]);
    assert!(checked.contains("client of shop: 1 x GET /; 18 requests"), "{checked}");
    browser.tab_to(&point(1));
    browser.press(&format!("{UP}{ENTER}"));
    browser.waits_for("another is drawn", &format!("return {POINTS} === 4 && !{FILE}.includes('{curve}')"));
    browser.choose("#import", &file);
    browser.waits_for("it is read", &format!("return {POINTS} === 3 && {TOLD} === 'It is imported.'"));
    assert_eq!(browser.run(&format!("return {FILE}")), json!(exported));

    // It is queued, and waits until a daemon runs it; that none does is said.
    let queue = || {
        browser.tab_to("document.getElementById('queue')");
        browser.press(ENTER);
    };
    queue();
    browser.waits_for("it is queued", &format!("return {TOLD}.includes('Experiment 1 is queued')"));
    browser.waits_for("it is listed", &format!("return {EXPERIMENTS}.includes('1 drawn')"));
    browser.waits_for("nobody runs it", &format!("return {EXPERIMENTS}.includes('No daemon seems to run')"));
    let kept = demo.get("/api/v1/load/experiments/1").json();
    assert_eq!(kept["text"], json!(exported), "{kept:#}");
    succeed(demo.place.path(), &["load", "daemon", "--until-idle", "--data", &demo.data()]);
    browser.waits_for("it is over", &format!("return {EXPERIMENTS}.includes('finished')"));
    let requests = browser.run("return document.querySelector('#list tbody td.number').textContent");
    assert_eq!(requests, json!(server.times().len().to_string()));

    // One that waits is cancelled; it is opened, and designed from.
    queue();
    browser.waits_for("it is queued", &format!("return {TOLD}.includes('Experiment 2 is queued')"));
    let cancel = "document.querySelector('#experiments button[data-path$=\"/2/cancel\"]')";
    browser.waits_for("it can be cancelled", &format!("return {cancel} !== null"));
    browser.tab_to(cancel);
    browser.press(ENTER);
    browser.waits_for("it is cancelled", &format!("return {EXPERIMENTS}.includes('cancelled')"));
    browser.tab_to("document.querySelector('#list a[href=\"/load?experiment=1\"]')");
    browser.press(ENTER);
    browser.waits_for("it is opened", &format!("return {EXPERIMENTS}.includes('0 errors')"));
    assert_eq!(browser.run("return location.search"), json!("?experiment=1"));
    browser.tab_to("document.querySelector('#experiments button[data-open]')");
    browser.press(ENTER);
    browser.waits_for("it is there", &format!("return {TOLD}.startsWith('It is there')"));

    // What cannot be drawn is queued as it is; what is wrong with a file stands beside it.
    let write = |from: &str, to: &str| {
        browser.run(&format!(
            "const text = document.getElementById('text'); text.value = text.value.replace('{from}', '{to}'); \
             text.dispatchEvent(new Event('input', {{bubbles: true}}))"
        ));
    };
    write("count = 1", "count = 1\\nin_flight = 7");
    browser
        .waits_for("it is kept as text", &format!("return {POINTS} === 0 && {sends}.includes('is queued as it is')"));
    queue();
    browser.waits_for("it is queued", &format!("return {TOLD}.includes('Experiment 3 is queued')"));
    write("count = 1", "count = 0");
    let beside = "document.getElementById('faults').textContent";
    browser.waits_for("it is blamed", &format!("return {beside}.includes('client 1: count: 0 is out of range')"));
    queue();
    browser.waits_for("it is refused", &format!("return {TOLD}.includes('0 is out of range')"));
    let count = demo.get("/api/v1/load/experiments").json()["items"].as_array().map(Vec::len);
    assert_eq!(count, Some(3));

    browser.looks_right();
    browser.fetched_from_there_alone(&demo);
    let nothing: Value = browser.run("return document.querySelectorAll('[style], [onclick], iframe').length");
    assert_eq!(nothing, json!(0), "nothing that the policy forbids");
}
