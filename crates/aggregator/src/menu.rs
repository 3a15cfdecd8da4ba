//! The reader for people: a menu over any input and output.

use crate::reader::{Answer, Unanswered};
use crate::udsmp::{REQUEST_MAX_BYTES, Request};
use std::io::{self, BufRead, Read as _, Write};

const MENU: &str = "\
1  emitters
2  metrics of an emitter
3  exit
> ";

/// Shows the menu until `exit` is chosen or the input ends. What is not answered is said, and the menu goes on.
///
/// # Errors
///
/// Of `input` and `output`; never of the network.
pub fn run(
    mut ask: impl FnMut(&Request<'_>) -> Result<Answer, Unanswered>,
    input: &mut impl BufRead,
    output: &mut impl Write,
) -> io::Result<()> {
    loop {
        let Some(choice) = prompted(MENU, input, output)? else { return Ok(()) };
        match choice.as_str() {
            "1" | "emitters" => show(ask(&Request::Emitters), "no emitter is known", output)?,
            "2" | "metrics" => {
                let Some(host) = prompted("emitter: ", input, output)? else { return Ok(()) };
                match host.as_str() {
                    "" => writeln!(output, "name an emitter; 1 lists them")?,
                    host => show(ask(&Request::Emitter(host)), "this emitter is not known", output)?,
                }
            }
            "3" | "exit" | "quit" => return Ok(()),
            "" => {}
            _ => writeln!(output, "choose 1, 2 or 3")?,
        }
    }
}

/// `None`: the input has ended.
fn prompted(prompt: &str, input: &mut impl BufRead, output: &mut impl Write) -> io::Result<Option<String>> {
    write!(output, "{prompt}")?;
    output.flush()?;
    let mut line = Vec::new();
    // What is longer cannot be asked for; the rest of it is taken for the next line.
    let read = input.by_ref().take(REQUEST_MAX_BYTES as u64).read_until(b'\n', &mut line)?;
    if read == 0 {
        writeln!(output)?;
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim().to_owned()))
}

fn show(answer: Result<Answer, Unanswered>, nothing: &str, output: &mut impl Write) -> io::Result<()> {
    match answer {
        Ok(Answer { entries, .. }) if entries.is_empty() => writeln!(output, "{nothing}"),
        Ok(Answer { entries, complete }) => {
            for entry in entries {
                writeln!(output, "{entry}")?;
            }
            if !complete { writeln!(output, "... (the list goes on, and the rest did not come)") } else { Ok(()) }
        }
        Err(unanswered) => writeln!(output, "{unanswered}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    /// What the menu asks and shows, without the menu itself.
    fn session(input: &[u8]) -> (Vec<String>, String) {
        let mut asked = Vec::new();
        let mut output = Vec::new();
        let answer = |request: &Request<'_>| {
            asked.push(request.to_string());
            let entries = |entries: &[&str], complete| {
                Ok(Answer { entries: entries.iter().map(|entry| (*entry).to_owned()).collect(), complete })
            };
            match request {
                Request::Emitters => entries(&["Node_1", "Node_2"], asked.len() == 1),
                Request::Emitter("Node_1") => entries(&["cpu: 30.00"], true),
                Request::Emitter("silent") => Err(Unanswered::NoResponse(SocketAddr::from(([127, 0, 0, 1], 6343)))),
                Request::Emitter(_) => entries(&[], true),
            }
        };
        run(answer, &mut &input[..], &mut output).expect("input and output do not fail");
        let output = String::from_utf8(output).expect("text");
        (asked, output.replace(MENU, "").replace("emitter: ", ""))
    }

    #[test]
    fn the_menu_asks_and_shows() {
        let (asked, shown) = session(b"1\n2\nNode_1\n1\n3\n2\n");
        assert_eq!(asked, ["GET_EMITTERS", "GET_EMITTER Node_1", "GET_EMITTERS"]);
        let expected =
            "Node_1\nNode_2\ncpu: 30.00\nNode_1\nNode_2\n... (the list goes on, and the rest did not come)\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn no_response_is_said_and_the_menu_goes_on() {
        let (asked, shown) = session(b"2\nsilent\n2\nunknown\n");
        assert_eq!(asked, ["GET_EMITTER silent", "GET_EMITTER unknown"]);
        let expected = "no response from 127.0.0.1:6343 within 1 s; is the aggregator there, and the address right (-H, -p)?\n\
                        this emitter is not known\n\n";
        assert_eq!(shown, expected);
    }

    #[test]
    fn other_input_is_told_what_there_is() {
        let (asked, shown) = session(b"what\n\n2\n\n\xff\nexit\n");
        assert_eq!(asked, [""; 0]);
        assert_eq!(shown, "choose 1, 2 or 3\nname an emitter; 1 lists them\nchoose 1, 2 or 3\n");
        assert_eq!(session(b"2").1, "\n");
        assert_eq!(session(&vec![b'x'; 5000]).1.lines().count(), 6);
    }
}
