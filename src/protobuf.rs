//! Writing protocol buffers by hand: the two formats that need them, TensorBoard's events and ONNX, use a
//! dozen messages between them, and the crates that write such messages bring a compiler along.
//!
//! Format: protobuf.dev/programming-guides/encoding. A message is the concatenation of its fields.

/// A field holding a whole number.
pub fn number(at: u32, value: u64) -> Vec<u8> {
    [field(at, 0), varint(value)].concat()
}

/// A field holding a double.
pub fn double(at: u32, value: f64) -> Vec<u8> {
    [field(at, 1), value.to_le_bytes().to_vec()].concat()
}

/// A field holding a float.
pub fn float(at: u32, value: f32) -> Vec<u8> {
    [field(at, 5), value.to_le_bytes().to_vec()].concat()
}

/// A field holding bytes or another message.
pub fn bytes(at: u32, value: &[u8]) -> Vec<u8> {
    [field(at, 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// A field holding text.
pub fn text(at: u32, value: &str) -> Vec<u8> {
    bytes(at, value.as_bytes())
}

/// A field's number and the way its value is written.
fn field(at: u32, wire: u32) -> Vec<u8> {
    varint(u64::from(at << 3 | wire))
}

/// Seven bits a byte, least significant first.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
