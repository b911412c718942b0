//! What a transcript holds.

/// One conversation with a server, on one or several connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// A sentence: the rule that the case tests.
    pub name: String,
    /// Where the case starts in its file, from 1.
    pub line: usize,
    /// What the server must be set to.
    pub needs: Needs,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// What a server must be set to for a case to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The server's `max_line` must be known: a placeholder counts by it.
    pub max_line: bool,
    /// The server's `max_ahead` must be known: a placeholder counts by it.
    pub max_ahead: bool,
    /// UPDATE is a valid command from where the runner connects.
    pub updates: bool,
    /// Replies after which the server closes; `None`: it never does.
    pub commands_per_connection: Option<u64>,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What follows is on the connection of this name, opened when it is first named.
    On(String),
    /// Lines sent in one write.
    Send {
        /// In order, at least one.
        lines: Vec<Line>,
        /// Each byte in a write of its own instead.
        byte_by_byte: bool,
    },
    /// A moment in which nothing is sent, so that two writes arrive apart.
    Pause,
    /// Lines that must come.
    Expect {
        /// In order, at least one.
        lines: Vec<Line>,
        /// All of them out of a single read.
        in_one_read: bool,
    },
    /// The runner shuts its sending side down.
    HalfClose,
    /// The server must end the connection now, with no byte more.
    Closed {
        /// Where this stands in the file, from 1.
        line: usize,
    },
}

/// One `>` or `<` of a transcript. Its LF, if any, is among its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands in the file, from 1.
    pub number: usize,
    /// How often it is sent or expected, at least 1.
    pub times: usize,
    /// In order.
    pub parts: Vec<Part>,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As they are.
    Bytes(Vec<u8>),
    /// `{client}`, `{client2}`: a name that no other case and no other run uses.
    Client(u32),
    /// `{server}`: the name of the server that is asked.
    Server,
    /// `{i}`: which repetition of the line this is, from 1.
    Index,
    /// `{now}`, `{now-10.5}`, `{now+max_ahead-3600}`: seconds with nine decimals.
    Now {
        /// What is added to the start of the case.
        nanos: i64,
        /// How often the server's `max_ahead` is added too.
        max_aheads: i64,
    },
    /// `{x*255}`, `{x*max_line-1}`: bytes, repeated.
    Repeat(Vec<u8>, Count),
    /// `{skew}`, `{skew1}`: the server's clock minus the time of the line; with a number, the same
    /// bytes wherever the case names it again.
    Skew(Option<u32>),
    /// `{places<=5}`, `{places<=0 ZERO_RESULTS}`: a places answer, up to the LF LF after it.
    Places {
        /// Results, at most.
        max: usize,
        /// The only status that is right, if the case says one.
        status: Option<String>,
    },
}

/// How often a [`Part::Repeat`] is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So often.
    Fixed(usize),
    /// As often as the server's `max_line` says, plus this.
    MaxLine(isize),
}
