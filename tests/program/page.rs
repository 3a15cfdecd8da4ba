//! The pages in a real browser, driven as a person would: by the keyboard, wide and narrow, light and dark.

use super::api::{Answer, Demo, exchange};
use crate::network::{PATIENCE, wait_until};
use serde_json::{Value, json};
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A browser with one window, driven over the protocol of WebDriver.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            self.ask("DELETE", "", &json!({}));
        }
        // One that has ended already needs neither.
        let _gone = self.driver.kill();
        let _gone = self.driver.wait();
    }
}

const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

impl Browser {
    /// `None`: there is none here.
    pub fn start(demo: &Demo) -> Option<Self> {
        let output = demo.place.path().join("driver");
        let file = File::create(&output).expect("a file");
        let started = Command::new("chromedriver").arg("--port=0").stdout(file).stderr(Stdio::null()).spawn();
        let driver = started.ok()?;
        let mut port = None;
        wait_until("the driver listens", PATIENCE, || {
            let told = std::fs::read_to_string(&output).unwrap_or_default();
            let rest = told.split_once("started successfully on port ").map(|(_, rest)| rest.to_owned());
            port = rest.and_then(|rest| rest.trim_end().trim_end_matches('.').parse::<u16>().ok());
            port.is_some()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], port?));
        let mut browser = Self { driver, address, session: String::new() };
        let profile = format!("--user-data-dir={}", demo.place.path().join("profile").display());
        let arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &profile];
        let options = json!({"args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}});
        let session = browser.ask("POST", "", &wanted);
        browser.session =
            format!("/{}", session["sessionId"].as_str().unwrap_or_else(|| panic!("a session: {session}")));
        Some(browser)
    }

    /// What is answered to a command of this session.
    fn ask(&self, method: &str, command: &str, body: &Value) -> Value {
        let body = body.to_string();
        let request = format!(
            "{method} /session{}{command} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.session,
            self.address,
            body.len()
        );
        let answer: Answer = exchange(self.address, request.as_bytes());
        assert_eq!(answer.status, 200, "{command} {body}: {answer:?}");
        answer.json()["value"].take()
    }

    pub fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({"url": url}));
    }

    /// What a script in the page returns.
    pub fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        let wanted = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": size});
        self.ask("POST", "/goog/cdp/execute", &wanted);
    }

    pub fn scheme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        let wanted = json!({"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}});
        self.ask("POST", "/goog/cdp/execute", &wanted);
    }

    /// Files that are saved come into this folder, without a question.
    pub fn saves_to(&self, folder: &Path) {
        let wanted =
            json!({"cmd": "Browser.setDownloadBehavior", "params": {"behavior": "allow", "downloadPath": folder}});
        self.ask("POST", "/goog/cdp/execute", &wanted);
    }

    /// Chooses a file in the field that a selector finds.
    pub fn choose(&self, selector: &str, file: &Path) {
        let found = self.ask("POST", "/element", &json!({"using": "css selector", "value": selector}));
        let id = found.as_object().and_then(|found| found.values().next()?.as_str()).expect("an element");
        self.ask("POST", &format!("/element/{id}/value"), &json!({ "text": file }));
    }

    /// Nothing overflows, wide or narrow, and the colours change.
    pub fn looks_right(&self) {
        let mut papers = Vec::new();
        for (width, scheme) in [(1400, "light"), (1400, "dark"), (360, "light"), (360, "dark")] {
            self.resize(width, 900);
            self.scheme(scheme);
            let widths = self.run("return [document.documentElement.scrollWidth, innerWidth]");
            assert!(widths[0].as_f64() <= widths[1].as_f64(), "{width} px, {scheme}: {widths}");
            papers.push(self.run("return getComputedStyle(document.body).backgroundColor"));
        }
        assert_eq!((&papers[0], &papers[1]), (&papers[2], &papers[3]));
        assert_ne!(papers[0], papers[1]);
    }

    /// Whatever was fetched came from the server.
    pub fn fetched_from_there_alone(&self, demo: &Demo) {
        let fetched = self.run("return performance.getEntriesByType('resource').map((one) => one.name)");
        for url in fetched.as_array().expect("a list") {
            assert!(url.as_str().is_some_and(|url| url.starts_with(&demo.url())), "{url}");
        }
    }

    /// Presses keys, one after the other, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let pressed = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})));
        let actions = json!([{"type": "key", "id": "keys", "actions": pressed.collect::<Vec<_>>()}]);
        self.ask("POST", "/actions", &json!({"actions": actions}));
    }

    /// Goes on with the tabulator key until the focus is on what a script finds.
    pub fn tab_to(&self, what: &str) {
        const STEPS: usize = 200;
        let is_there = format!("const one = {what}; return one !== null && document.activeElement === one");
        let reached = (0..STEPS).any(|_| {
            self.press(TAB);
            self.run(&is_there) == json!(true)
        });
        assert!(reached, "the keyboard does not reach {what}");
    }

    /// Draws with the mouse from one share of an element's width to another.
    fn draw(&self, what: &str, from: f64, to: f64) {
        let place = "const at = ELEMENT; at.scrollIntoView({block: 'center'}); const box = at.getBoundingClientRect(); \
                     return [box.left, box.top + box.height / 2, box.width]";
        let place = self.run(&place.replace("ELEMENT", what));
        let number = |index: usize| place[index].as_f64().expect("a number");
        let x = |share: f64| (number(0) + share * number(2)).round() as i64;
        let moved =
            |share: f64| json!({"type": "pointerMove", "duration": 0, "x": x(share), "y": number(1).round() as i64});
        let pressed = |kind: &str| json!({"type": kind, "button": 0});
        let steps = [moved(from), pressed("pointerDown"), moved((from + to) / 2.0), moved(to), pressed("pointerUp")];
        let actions =
            json!([{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps}]);
        self.ask("POST", "/actions", &json!({"actions": actions}));
    }

    pub fn waits_for(&self, what: &str, script: &str) {
        wait_until(what, PATIENCE, || self.run(script) == json!(true));
    }
}

#[test]
fn the_page_works_by_keyboard_wide_and_narrow_light_and_dark() {
    let demo = Demo::start().converged();
    let Some(browser) = Browser::start(&demo) else {
        eprintln!("SKIPPED: chromedriver is not installed (apt-get install chromium chromium-driver)");
        return;
    };
    browser.resize(1400, 900);
    browser.open(&demo.url());
    browser.waits_for("it is live", "return document.getElementById('live').textContent === 'live'");
    // At this pace a busy machine makes a job miss its goal now and then.
    let now = "return document.getElementById('now').innerText";
    browser.waits_for("all goals are met", &format!("{now}.includes('3 met')"));
    let text = browser.run(now);
    let text = text.as_str().expect("a text");
    for word in ["Agent 1", "Agent 2", "Agent 3", "blood_tests", "C3_1", "response_time <= 35 s"] {
        assert!(text.contains(word), "{word}: {text}");
    }

    // An event is opened, and stands in the address.
    browser.tab_to("document.querySelector('#events tbody a')");
    browser.press(ENTER);
    browser.waits_for("it is explained", "return document.querySelector('#events .chosen') !== null");
    let address = browser.run("return location.search");
    assert!(address.as_str().is_some_and(|address| address.contains("event=")), "{address}");

    // Availability of node 2 is changed, seen to be staged, refused without a token, then applied with one.
    let field = "document.querySelector('input[data-path=\"/api/v1/nodes/2\"]')";
    browser.run(&format!("{field}.focus(); {field}.select()"));
    browser.press("81");
    let staged = browser.run("return document.getElementById('staged').textContent");
    assert_eq!(staged, json!("fog (2): 80 to 81"));
    browser.tab_to("document.getElementById('apply')");
    browser.press(ENTER);
    let told = "return document.getElementById('told').textContent";
    browser.waits_for("it is refused", &format!("{told}.includes('no token was shown')"));
    browser.run("document.getElementById('token').focus()");
    browser.press(&format!("{}{ENTER}", demo.token));
    browser.waits_for("the token is taken", &format!("{told}.includes('token is used')"));
    browser.waits_for("the form is fresh", &format!("return {field} !== null && {field}.value === '80'"));
    browser.run(&format!("{field}.focus(); {field}.select()"));
    browser.press(&format!("81{ENTER}"));
    browser.waits_for("it is applied", &format!("{told}.startsWith('Applied')"));
    assert_eq!(demo.get("/api/v1/nodes/2").json()["availability_percent"], 81.0);
    browser.waits_for("it is shown", &format!("return {field} !== null && {field}.value === '81'"));
    browser.tab_to("document.getElementById('revert')");
    browser.press(ENTER);
    browser.waits_for("it is taken back", &format!("{told}.startsWith('Taken back')"));
    assert_eq!(demo.get("/api/v1/nodes/2").json()["availability_percent"], 80.0);

    // What is staged is shown with what would follow from it.
    browser.waits_for("the form is fresh", &format!("return {field} !== null && {field}.value === '80'"));
    browser.run(&format!("{field}.focus(); {field}.select()"));
    browser.press("20");
    let plan = "document.getElementById('plan')";
    assert_eq!(browser.run(&format!("return {plan}.textContent")), json!("What would follow?"));
    browser.tab_to(plan);
    browser.press(ENTER);
    let planned = "return document.getElementById('planned').textContent";
    browser.waits_for("it is simulated", &format!("{planned}.includes('holds then')"));
    assert_eq!(browser.run("return document.getElementById('do').hidden"), json!(true), "it is only supposed");
    browser.tab_to("document.getElementById('revert')");
    browser.press(ENTER);

    // An application is asked for something else, and follows with its next job; then for what it was configured to.
    browser.tab_to("[...document.querySelectorAll('a')].find((one) => one.textContent === 'Agent 2')");
    browser.press(ENTER);
    let goal = "document.querySelector('input[data-path=\"/api/v1/agents/2\"][data-member=goal]')";
    browser.waits_for("its goal can be edited", &format!("return {goal} !== null"));
    browser.run(&format!("{goal}.focus(); {goal}.select()"));
    browser.press(&format!("response_time <= 90 s{ENTER}"));
    let shown = |what: &str| format!("{now}.includes('{what}')");
    browser.waits_for("it pursues that", &shown("response_time <= 90 s"));
    browser
        .waits_for("the form is fresh", &format!("return {goal} !== null && {goal}.value === 'response_time <= 90 s'"));
    browser.run(&format!(
        "{goal}.focus(); {goal}.value = ''; {goal}.dispatchEvent(new Event('input', {{bubbles: true}}))"
    ));
    browser.press(ENTER);
    browser.waits_for(
        "it pursues what is configured",
        &format!("return !(() => {{ {} }})()", shown("response_time <= 90 s")),
    );
    browser.tab_to("[...document.querySelectorAll('a')].find((one) => one.textContent === 'Agent 2')");
    browser.press(ENTER);

    // A time is chosen by drawing over the line; it stands in the address, and the page shows what was.
    browser.draw("document.getElementById('timeline')", 0.02, 0.3);
    browser.waits_for("it shows what was", "return document.querySelector('.past') !== null");
    let address = browser.run("return location.search");
    let chosen = |name: &str| address.as_str().is_some_and(|address| address.contains(&format!("{name}=")));
    assert!(chosen("since") && chosen("until"), "{address}");
    browser.tab_to("document.querySelector('.past a')");
    browser.press(ENTER);
    browser.waits_for("it shows what is", "return document.querySelector('.past') === null");

    browser.looks_right();
    browser.fetched_from_there_alone(&demo);
}
