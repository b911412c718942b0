//! Text to cases.

use super::case::{Case, Count, Line, Needs, Part, Step};
use super::escape::unescaped;
use crate::protocol::decimal::Decimal;

/// What is wrong with a transcript.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// With the offending text.
    pub problem: String,
}

/// Reads the cases of one transcript.
///
/// # Errors
/// The first line that the format does not allow.
pub fn parse(text: &str) -> Result<Vec<Case>, ParseError> {
    let mut cases = Vec::new();
    let mut reader: Option<Reader> = None;
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let error = |problem| ParseError { line, problem };
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if text.ends_with([' ', '\t']) {
            return Err(error("white space at the end: write \\x20 or \\t".into()));
        }
        match (text.strip_prefix("== "), &mut reader) {
            (Some(name), _) => {
                let before = reader.replace(Reader::new(name, line));
                cases.extend(before.map(Reader::finish).transpose()?);
            }
            (None, Some(reader)) => reader.read(text, line).map_err(error)?,
            (None, None) => return Err(error("before the first `== NAME`".into())),
        }
    }
    cases.extend(reader.map(Reader::finish).transpose()?);
    Ok(cases)
}

/// Reads one case.
struct Reader {
    case: Case,
    /// `byte by byte` or `in one read` was said, for the lines that follow.
    byte_by_byte: bool,
    in_one_read: bool,
}

impl Reader {
    fn new(name: &str, line: usize) -> Self {
        let case = Case { name: name.into(), line, needs: Needs::default(), steps: Vec::new() };
        Self { case, byte_by_byte: false, in_one_read: false }
    }

    fn finish(self) -> Result<Case, ParseError> {
        let error = |problem: &str| ParseError { line: self.case.line, problem: problem.into() };
        if self.byte_by_byte || self.in_one_read {
            return Err(error("the case ends after `byte by byte` or `in one read`"));
        }
        if !self
            .case
            .steps
            .iter()
            .any(|step| matches!(step, Step::Expect { .. } | Step::Closed { .. }))
        {
            return Err(error("the case expects nothing"));
        }
        Ok(self.case)
    }

    fn read(&mut self, text: &str, number: usize) -> Result<(), String> {
        if let Some(text) = text.strip_prefix('>') {
            let line = self.line(text, number, false)?;
            return self.send(line);
        }
        if let Some(text) = text.strip_prefix('<') {
            let line = self.line(text, number, true)?;
            return self.expect(line);
        }
        if self.byte_by_byte || self.in_one_read {
            return Err(format!("`{text}` between `byte by byte` or `in one read` and its lines"));
        }
        if let Some(need) = text.strip_prefix("needs ") {
            return self.need(need);
        }
        if let Some(name) = text.strip_prefix("on ") {
            self.case.steps.push(Step::On(name.into()));
            return Ok(());
        }
        match text {
            "byte by byte" => self.byte_by_byte = true,
            "in one read" => self.in_one_read = true,
            "pause" => self.case.steps.push(Step::Pause),
            "half-close" => self.case.steps.push(Step::HalfClose),
            "closed" => self.case.steps.push(Step::Closed { line: number }),
            _ => return Err(format!("unknown directive `{text}`")),
        }
        Ok(())
    }

    fn need(&mut self, text: &str) -> Result<(), String> {
        match text.split_once('=') {
            None if text == "updates" => self.case.needs.updates = true,
            Some(("commands_per_connection", number)) => {
                self.case.needs.commands_per_connection = Some(parse_number(number)?);
            }
            _ => return Err(format!("unknown need `{text}`")),
        }
        Ok(())
    }

    /// Lines that follow each other are one write.
    fn send(&mut self, line: Line) -> Result<(), String> {
        if std::mem::take(&mut self.in_one_read) {
            return Err("`in one read` is for expected lines".into());
        }
        match self.case.steps.last_mut() {
            Some(Step::Send { lines, .. }) if !self.byte_by_byte => lines.push(line),
            _ => {
                let byte_by_byte = std::mem::take(&mut self.byte_by_byte);
                self.case.steps.push(Step::Send { lines: vec![line], byte_by_byte });
            }
        }
        Ok(())
    }

    fn expect(&mut self, line: Line) -> Result<(), String> {
        if std::mem::take(&mut self.byte_by_byte) {
            return Err("`byte by byte` is for sent lines".into());
        }
        match self.case.steps.last_mut() {
            Some(Step::Expect { lines, .. }) if !self.in_one_read => lines.push(line),
            _ => {
                let in_one_read = std::mem::take(&mut self.in_one_read);
                self.case.steps.push(Step::Expect { lines: vec![line], in_one_read });
            }
        }
        Ok(())
    }

    /// What stands behind the `>` or `<`: ` BYTES` or `*TIMES BYTES`.
    fn line(&mut self, text: &str, number: usize, is_expected: bool) -> Result<Line, String> {
        let (times, bytes) = text.split_once(' ').ok_or("no bytes: a space, then what is sent")?;
        let times = match times.strip_prefix('*') {
            Some(times) => parse_number(times)?,
            None if times.is_empty() => 1,
            None => return Err(format!("`{times}` is not `*TIMES`")),
        };
        let parts = self.parts(bytes)?;
        let is_only_expected = |part: &Part| matches!(part, Part::Skew(_) | Part::Places { .. });
        if times == 0 || parts.is_empty() {
            return Err("a line of nothing".into());
        }
        if !is_expected && parts.iter().any(is_only_expected) {
            return Err("a skew or places can't be sent".into());
        }
        Ok(Line { number, times, parts })
    }

    fn parts(&mut self, mut text: &str) -> Result<Vec<Part>, String> {
        let mut parts = Vec::new();
        while let Some(open) = open_brace(text) {
            let (before, rest) = (&text[..open], &text[open + 1..]);
            let (inside, after) = rest.split_once('}').ok_or("a { without }")?;
            if !before.is_empty() {
                parts.push(Part::Bytes(unescaped(before)?));
            }
            parts.push(self.placeholder(inside)?);
            text = after;
        }
        if !text.is_empty() {
            parts.push(Part::Bytes(unescaped(text)?));
        }
        Ok(parts)
    }

    fn placeholder(&mut self, text: &str) -> Result<Part, String> {
        if let Some((unit, count)) = text.rsplit_once('*') {
            return Ok(Part::Repeat(unescaped(unit)?, self.count(count)?));
        }
        if let Some(number) = text.strip_prefix("client") {
            return Ok(Part::Client(parse_suffix(number)?.unwrap_or(0)));
        }
        if let Some(number) = text.strip_prefix("skew") {
            return Ok(Part::Skew(parse_suffix(number)?));
        }
        if let Some(offset) = text.strip_prefix("now") {
            return self.now(offset);
        }
        if let Some(bound) = text.strip_prefix("places<=") {
            let (max, status) = match bound.split_once(' ') {
                Some((max, status)) => (max, Some(status.to_owned())),
                None => (bound, None),
            };
            return Ok(Part::Places { max: parse_number(max)?, status });
        }
        match text {
            "server" => Ok(Part::Server),
            "i" => Ok(Part::Index),
            _ => Err(format!("unknown placeholder {{{text}}}")),
        }
    }

    fn count(&mut self, text: &str) -> Result<Count, String> {
        let Some(offset) = text.strip_prefix("max_line") else {
            return Ok(Count::Fixed(parse_number(text)?));
        };
        self.case.needs.max_line = true;
        Ok(Count::MaxLine(if offset.is_empty() { 0 } else { parse_number(offset)? }))
    }

    /// `+1.000000001`, `-10.5`, `+max_ahead-3600`
    fn now(&mut self, text: &str) -> Result<Part, String> {
        let (mut nanos, mut max_aheads) = (0, 0);
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let sign = match sign {
                '+' => 1,
                '-' => -1,
                _ => return Err(format!("`now{text}` is not a sum")),
            };
            let end = rest[1..].find(['+', '-']).map_or(rest.len(), |at| at + 1);
            let term = &rest[1..end];
            rest = &rest[end..];
            if term == "max_ahead" {
                self.case.needs.max_ahead = true;
                max_aheads += sign;
                continue;
            }
            let size = Decimal::parse(term.as_bytes()).and_then(|number| number.nanos());
            let size = size.and_then(|size| i64::try_from(size).ok());
            nanos += sign * size.ok_or_else(|| format!("`{term}` is not a number of seconds"))?;
        }
        Ok(Part::Now { nanos, max_aheads })
    }
}

/// Where the first `{` is that no `\` escapes.
fn open_brace(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.bytes().position(|byte| {
        let found = byte == b'{' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        found
    })
}

fn parse_suffix(text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() { Ok(None) } else { parse_number(text).map(Some) }
}

fn parse_number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_line(text: &str) -> Result<Line, ParseError> {
        let cases = parse(&format!("== a case\n{text}\n"))?;
        match &cases[0].steps[..] {
            [Step::Expect { lines, .. }] if lines.len() == 1 => Ok(lines[0].clone()),
            steps => panic!("{steps:?}"),
        }
    }

    #[test]
    fn a_case_is_a_name_and_steps() {
        let text = "# comment\n\n== one\nneeds updates\nneeds commands_per_connection=1\n\
                    byte by byte\n> a\\n\n> b\npause\n> c\nin one read\n< d\n< e\non second\n\
                    half-close\nclosed\n== two\n<*3 x{i}\n";
        let cases = parse(text).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!((cases[0].name.as_str(), cases[0].line), ("one", 3));
        assert_eq!((cases[1].name.as_str(), cases[1].line), ("two", 17));
        let needs = Needs { updates: true, commands_per_connection: Some(1), ..Needs::default() };
        assert_eq!(cases[0].needs, needs);
        let line = |number, bytes: &[u8]| Line {
            number,
            times: 1,
            parts: vec![Part::Bytes(bytes.to_vec())],
        };
        let steps = [
            Step::Send { lines: vec![line(7, b"a\n"), line(8, b"b")], byte_by_byte: true },
            Step::Pause,
            Step::Send { lines: vec![line(10, b"c")], byte_by_byte: false },
            Step::Expect { lines: vec![line(12, b"d"), line(13, b"e")], in_one_read: true },
            Step::On("second".into()),
            Step::HalfClose,
            Step::Closed { line: 16 },
        ];
        assert_eq!(cases[0].steps, steps);
    }

    #[test]
    fn placeholders_stand_between_bytes() {
        let line = only_line("<*5000 AT {server} {skew1} {client2} +1\\{\\}{now-1.5}5\\n").unwrap();
        let bytes = |bytes: &[u8]| Part::Bytes(bytes.to_vec());
        let parts = vec![
            bytes(b"AT "),
            Part::Server,
            bytes(b" "),
            Part::Skew(Some(1)),
            bytes(b" "),
            Part::Client(2),
            bytes(b" +1{}"),
            Part::Now { nanos: -1_500_000_000, max_aheads: 0 },
            bytes(b"5\n"),
        ];
        assert_eq!(line, Line { number: 2, times: 5000, parts });
    }

    #[test]
    fn a_case_needs_to_know_the_limits_that_it_counts_by() {
        let cases = parse("== a\n> {\\x20*max_line-56}{now+max_ahead-3600}\nclosed\n").unwrap();
        assert!(cases[0].needs.max_line && cases[0].needs.max_ahead);
        let Step::Send { lines, .. } = &cases[0].steps[0] else { panic!("a send") };
        let parts = [
            Part::Repeat(vec![b' '], Count::MaxLine(-56)),
            Part::Now { nanos: -3_600_000_000_000, max_aheads: 1 },
        ];
        assert_eq!(lines[0].parts, parts);
    }

    #[test]
    fn places_say_how_many_and_which_status() {
        let line = only_line("< {places<=0 ZERO_RESULTS}{places<=7}").unwrap();
        let parts = [
            Part::Places { max: 0, status: Some("ZERO_RESULTS".into()) },
            Part::Places { max: 7, status: None },
        ];
        assert_eq!(line.parts, parts);
    }

    #[test]
    fn what_the_format_does_not_allow_is_named_with_its_line() {
        let wrong = [
            "> a\n",
            "== a\n> a\n",
            "== a\nclosed \n",
            "== a\nshout\n",
            "== a\nneeds luck\n",
            "== a\n>a\nclosed\n",
            "== a\n>\nclosed\n",
            "== a\n>*0 a\nclosed\n",
            "== a\n>*x a\nclosed\n",
            "== a\n> {skew}\nclosed\n",
            "== a\n> {places<=1}\nclosed\n",
            "== a\n> {nowhere}\nclosed\n",
            "== a\n> {now+}\nclosed\n",
            "== a\n> {client\nclosed\n",
            "== a\n> \\q\nclosed\n",
            "== a\nbyte by byte\n< a\n",
            "== a\nin one read\n> a\nclosed\n",
            "== a\nclosed\nbyte by byte\n",
            "== a\nbyte by byte\nclosed\n> a\n",
        ];
        for wrong in wrong {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        let error = parse("== a\n< a\n\nshout\n").unwrap_err();
        assert_eq!(error.to_string(), "line 4: unknown directive `shout`");
    }
}
