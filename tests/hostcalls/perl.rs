//! Sections with the filter `eval`: Perl tells what they are, and what a pattern
//! matches, as for Test::Nginx, which runs them on nginx.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard};

/// One that all tests of this process talk to: patterns are kept there.
static PERL: LazyLock<Mutex<Perl>> = LazyLock::new(|| Mutex::new(Perl::start()));

/// Answers a line with a line: a command, and its arguments as `x` and hexadecimal
/// digits. What a test file calls before its blocks means nothing here.
const SCRIPT: &str = r#"
binmode STDIN; binmode STDOUT; $| = 1;
sub no_long_string {} sub no_shuffle {} sub run_tests {} sub no_root_location {} sub repeat_each {}
sub log_level {} sub workers {} sub add_block_preprocessor {} sub plan {}
our @patterns;
sub shown { "x" . unpack "H*", $_[0] }
while (my $line = <STDIN>) {
    my ($what, @given) = split " ", $line;
    $_ = pack "H*", substr $_, 1 for @given;
    if ($what eq "value") {
        my $value = eval $given[0];
        my $why = $@;
        my @all = ref $value eq "ARRAY" ? @$value : ($value);
        $why ||= "neither text nor a pattern" if grep { !defined || ref && ref ne "Regexp" } @all;
        @all = map { ref ? "p" . (push(@patterns, $_) - 1) : shown($_) } @all;
        print join(" ", $why ? ("no", shown($why)) : (ref $value eq "ARRAY" ? "list" : "one", @all)), "\n";
    } elsif ($what eq "run") {
        eval $given[0];
        print "done\n";
    } elsif ($what eq "first") {
        print $given[1] =~ $patterns[$given[0]] ? shown($&) : "no", "\n";
    }
}
"#;

struct Perl {
    _child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Perl {
    fn start() -> Self {
        let child = Command::new("perl")
            .args(["-e", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("perl, which the blocks of t/hostcalls are written in");
        let asks = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Perl {
            _child: child,
            asks,
            answers,
        }
    }

    fn ask(&mut self, what: &str, given: &[&[u8]]) -> Vec<String> {
        let given: String = given
            .iter()
            .map(|bytes| format!(" {}", hex(bytes)))
            .collect();
        writeln!(self.asks, "{what}{given}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "perl ended");
        answer.split_whitespace().map(str::to_owned).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    format!("x{}", digits.collect::<String>())
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = &text.as_bytes()[1..];
    let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

fn perl() -> MutexGuard<'static, Perl> {
    // A test that failed with it has said why.
    PERL.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What a section says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Vec<u8>),
    Pattern(usize),
}

/// One value for all requests, or one for each.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    One(Value),
    List(Vec<Value>),
}

/// The file in front of its blocks, without the modules that only Test::Nginx
/// has.
pub fn run(preamble: &str) {
    let lines = preamble
        .lines()
        .filter(|line| !line.starts_with("use lib") && !line.starts_with("use TestProxyWasm"));
    let code: Vec<&str> = lines.collect();
    perl().ask("run", &[code.join("\n").as_bytes()]);
}

/// The value of Perl code.
///
/// Errors: why it has none, in Perl's words.
pub fn value(code: &[u8]) -> Result<Values, String> {
    let mut answer = perl().ask("value", &[code]).into_iter();
    let kind = answer.next().unwrap();
    let mut values = answer.map(|value| match value.strip_prefix('p') {
        Some(number) => Value::Pattern(number.parse().unwrap()),
        None => Value::Text(unhex(&value)),
    });
    match kind.as_str() {
        "one" => Ok(Values::One(values.next().unwrap())),
        "list" => Ok(Values::List(values.collect())),
        _ => match values.next() {
            Some(Value::Text(why)) => Err(String::from_utf8_lossy(&why).into_owned()),
            other => Err(format!("{other:?}")),
        },
    }
}

/// What a pattern matches first.
pub fn first_match(pattern: usize, text: &[u8]) -> Option<Vec<u8>> {
    let answer = perl().ask("first", &[pattern.to_string().as_bytes(), text]);
    let matched = answer.first().filter(|matched| *matched != "no");
    matched.map(|matched| unhex(matched))
}

#[test]
fn perl_tells_texts_lists_and_patterns() {
    let one = |text: &[u8]| Values::One(Value::Text(text.to_vec()));
    assert_eq!(value(b"\"a\\xff\" x 2"), Ok(one(b"a\xffa\xff")));
    let list = value(b"['a', '']").unwrap();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(list, Values::List(vec![text("a"), text("")]));
    let Ok(Values::One(Value::Pattern(digits))) = value(b"qr/b\\K\\d+/") else {
        panic!("no pattern");
    };
    assert_eq!(first_match(digits, b"a 1 b22 b3"), Some(b"22".to_vec()));
    assert_eq!(first_match(digits, b"a"), None);
    assert!(value(b"die 'no'").is_err());
    assert!(value(b"sub { 1 }").is_err());
}
