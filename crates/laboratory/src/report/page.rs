//! What all pages have in common: the document, its style and script, and how one gets about in it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A whole page.
#[derive(Debug)]
pub struct Page {
    pub title: String,
    pub header: Markup,
    /// What the sections are of.
    pub what: &'static str,
    /// A choice for each section.
    pub choices: Vec<Choice>,
    pub summary: Markup,
    pub sections: Markup,
}

/// A section that can be chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// The section's.
    pub id: String,
    pub name: String,
    /// What is worth knowing before one goes there; may be empty.
    pub hint: String,
}

impl Page {
    pub fn html(&self) -> String {
        let markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="generator" content={ "agent " (env!("CARGO_PKG_VERSION")) };
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#summary" { "To the summary" }
                    (self.header)
                    (self.navigation())
                    main {
                        (self.summary)
                        (self.sections)
                    }
                    footer { "Written by " code { "agent report" } ", version " (env!("CARGO_PKG_VERSION")) "." }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        markup.into_string()
    }

    /// Links to all sections; the script adds a way to see one section alone.
    fn navigation(&self) -> Markup {
        html! { @if self.choices.len() > 1 {
            nav aria-label=(self.what) {
                p #choose hidden {
                    label for="chosen" { "Show" } " "
                    select #chosen {
                        option value="" { "all " (self.what.to_lowercase()) }
                        @for choice in &self.choices { option value=(choice.id) { (choice.name) } }
                    }
                }
                ul { @for choice in &self.choices { li {
                    a href={ "#" (choice.id) } { (choice.name) }
                    @if !choice.hint.is_empty() { " " small { (choice.hint) } }
                } } }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_and_script_end_nothing_and_fetch_nothing() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"), "would end its element");
            for word in ["http:", "https:", "//", "@import", "url(", "fetch", "XMLHttpRequest", "import "] {
                assert!(!text.contains(word), "{word}");
            }
        }
    }
}
