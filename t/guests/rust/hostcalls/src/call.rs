//! One call of a host function: its arguments are put together, the outputs come back readable.

use std::cell::Cell;

use crate::imports;

const STATUSES: [&str; 13] = [
    "OK",
    "NOT_FOUND",
    "BAD_ARGUMENT",
    "SERIALIZATION_FAILURE",
    "PARSE_FAILURE",
    "BAD_EXPRESSION",
    "INVALID_MEMORY_ACCESS",
    "EMPTY",
    "CAS_MISMATCH",
    "RESULT_MISMATCH",
    "INTERNAL_FAILURE",
    "BROKEN_CONNECTION",
    "UNIMPLEMENTED",
];

pub fn status_name(status: i32) -> String {
    match STATUSES.get(status as usize) {
        Some(name) => name.to_string(),
        None => status.to_string(),
    }
}

/// What a command has to tell: a status, and the outputs when it is OK.
#[derive(Default)]
pub struct Reply {
    pub status: String,
    pub ok: bool,
    /// The outputs, for the log.
    pub text: String,
    /// The first output that is data, or the first number in decimal.
    pub value: Vec<u8>,
    pub numbers: Vec<u64>,
}

impl Reply {
    pub fn ok(text: impl Into<String>) -> Reply {
        let text = text.into();
        Reply {
            status: "OK".into(),
            ok: true,
            value: text.clone().into_bytes(),
            text,
            numbers: vec![],
        }
    }

    pub fn failed(status: i32) -> Reply {
        Reply {
            status: status_name(status),
            ..Reply::default()
        }
    }
}

enum Output {
    Number,
    Data,
}

pub struct Call {
    name: String,
    args: Vec<u64>,
    /// Inputs, alive until the call is over.
    kept: Vec<Vec<u8>>,
    /// Where the host writes its outputs. Boxed, as their addresses must not change.
    cells: Vec<Box<Cell<u64>>>,
    outputs: Vec<Output>,
}

impl Call {
    pub fn new(name: &str) -> Call {
        Call {
            name: name.into(),
            args: vec![],
            kept: vec![],
            cells: vec![],
            outputs: vec![],
        }
    }

    pub fn number(mut self, number: u64) -> Call {
        self.args.push(number);
        self
    }

    /// A pointer and a size.
    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Call {
        let data = data.into();
        // Of nothing there is nothing to point at.
        self.args.push(if data.is_empty() {
            0
        } else {
            data.as_ptr() as u64
        });
        self.args.push(data.len() as u64);
        self.kept.push(data);
        self
    }

    /// An array of one WASI buffer: a pointer to it, and 1.
    pub fn iovec(mut self, data: Vec<u8>) -> Call {
        let iovec = [
            (data.as_ptr() as u32).to_le_bytes(),
            (data.len() as u32).to_le_bytes(),
        ];
        self.kept.push(data);
        let iovec = iovec.concat();
        self.args.push(iovec.as_ptr() as u64);
        self.args.push(1);
        self.kept.push(iovec);
        self
    }

    fn cell(&mut self) {
        let cell = Box::new(Cell::new(0));
        self.args.push(cell.as_ptr() as u64);
        self.cells.push(cell);
    }

    /// A pointer to where the host is to write a number.
    pub fn number_out(mut self) -> Call {
        self.cell();
        self.outputs.push(Output::Number);
        self
    }

    /// Two of them: the address and the size of data that the host had us allocate.
    pub fn data_out(mut self) -> Call {
        self.cell();
        self.cell();
        self.outputs.push(Output::Data);
        self
    }

    pub fn run(self) -> Result<Reply, String> {
        let wasi = self.name.strip_prefix("wasi_");
        let result = match wasi {
            Some(name) => imports::wasi::call(name, &self.args),
            None => imports::env::call(&self.name, &self.args),
        };
        let status = match result {
            None => return Err(format!("no command '{}'", self.name)),
            Some(Err(count)) => {
                return Err(format!(
                    "{} takes {count} numbers, not {} (text counts as two)",
                    self.name,
                    self.args.len()
                ))
            }
            Some(Ok(status)) => status,
        };
        // WASI has error numbers of its own.
        let mut reply = Reply {
            status: if wasi.is_some() {
                status.to_string()
            } else {
                status_name(status)
            },
            ok: status == 0,
            ..Reply::default()
        };
        if reply.ok {
            self.collect(&mut reply);
        }
        Ok(reply)
    }

    fn collect(&self, reply: &mut Reply) {
        let mut cells = self.cells.iter().map(|cell| cell.get());
        let mut texts = Vec::new();
        for output in &self.outputs {
            match output {
                Output::Number => {
                    let number = cells.next().unwrap_or(0);
                    if reply.value.is_empty() {
                        reply.value = number.to_string().into_bytes();
                    }
                    reply.numbers.push(number);
                    texts.push(number.to_string());
                }
                Output::Data => {
                    let address = cells.next().unwrap_or(0) as u32;
                    let size = cells.next().unwrap_or(0) as u32;
                    let data = if address == 0 || size == 0 {
                        Vec::new()
                    } else {
                        // SAFETY: the SDK's allocator made it as a Vec of exactly that capacity,
                        // and the host gave it away with the call.
                        unsafe {
                            Vec::from_raw_parts(address as *mut u8, size as usize, size as usize)
                        }
                    };
                    texts.push(show(&data));
                    reply.value = data;
                }
            }
        }
        reply.text = texts.join(" ");
    }
}

/// Quoted when printable, hexadecimal otherwise; long data by its beginning, size and CRC-32.
pub fn show(data: &[u8]) -> String {
    const MAX: usize = 512;
    let head = &data[..data.len().min(MAX)];
    let printable = match std::str::from_utf8(head) {
        Ok(_) => true,
        // A character that was cut in two at the end is no sign of binary data.
        Err(error) => data.len() > MAX && error.valid_up_to() + 4 > MAX,
    } && !head
        .iter()
        .any(|&byte| (byte < 0x20 && !b"\n\r\t".contains(&byte)) || byte == 0x7f);
    let mut text = String::new();
    if printable {
        text.push('"');
        for character in String::from_utf8_lossy(head).chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '"' | '\\' => text.extend(['\\', character]),
                _ => text.push(character),
            }
        }
        text.push('"');
    } else {
        text.push_str("0x");
        for byte in head {
            text.push_str(&format!("{byte:02x}"));
        }
    }
    if data.len() > MAX {
        text.push_str(&format!(
            "... ({} bytes, crc32 {:08x})",
            data.len(),
            crc32(data)
        ));
    }
    text
}

/// The same as nginx's `ngx.crc32_long`.
fn crc32(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

/// Serializes a map as the ABI wants it. The empty map is four zero bytes.
pub fn serialize(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (key, value) in pairs {
        bytes.extend((key.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (key, value) in pairs {
        for part in [key, value] {
            bytes.extend(part);
            bytes.push(0);
        }
    }
    bytes
}

/// The reverse; `None` when anything about it is wrong.
pub fn deserialize(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    if bytes.is_empty() {
        return Some(vec![]);
    }
    let word = |at: usize| -> Option<usize> {
        Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
    };
    let count = word(0)?;
    let mut at = 4 + 8 * count;
    let mut take = |size: usize| -> Option<Vec<u8>> {
        let part = bytes.get(at..at + size)?.to_vec();
        if bytes.get(at + size) != Some(&0) {
            return None;
        }
        at += size + 1;
        Some(part)
    };
    let mut pairs = Vec::new();
    for index in 0..count {
        let key = take(word(4 + 8 * index)?)?;
        pairs.push((key, take(word(8 + 8 * index)?)?));
    }
    (at == bytes.len()).then_some(pairs)
}
