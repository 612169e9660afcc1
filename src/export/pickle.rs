//! The few pickle opcodes that describe a TorchScript module: objects of classes, tensors, truth values.
//!
//! Written only; signet never unpickles. Protocol 2 (docs.python.org/3/library/pickletools), as
//! `torch::jit::Pickler` uses it.

/// A value in an archive.
pub enum PickleValue {
    /// A module: class, then attributes in their order.
    Object(String, Vec<(String, PickleValue)>),
    /// A truth value.
    Bool(bool),
    /// A tensor in a storage of its own.
    Tensor(Storage),
}

/// A tensor whose numbers lie, contiguous, in the archive's `data/KEY`.
pub struct Storage {
    /// Name of the entry.
    pub key: usize,
    /// Its class, such as `FloatStorage`.
    pub class: &'static str,
    /// Shape of the tensor.
    pub size: Vec<i64>,
    /// Whether gradients move it.
    pub requires_grad: bool,
}

/// `value` as a pickle.
pub fn dump(value: &PickleValue) -> Vec<u8> {
    let mut bytes = vec![0x80, 2]; // PROTO 2
    put(&mut bytes, value);
    bytes.push(b'.'); // STOP
    bytes
}

fn put(out: &mut Vec<u8>, value: &PickleValue) {
    match value {
        PickleValue::Bool(truth) => out.push(if *truth { 0x88 } else { 0x89 }),
        PickleValue::Object(class, attributes) => {
            global(out, "__torch__", class);
            out.extend(b")\x81}("); // EMPTY_TUPLE NEWOBJ EMPTY_DICT MARK
            for (name, value) in attributes {
                text(out, name);
                put(out, value);
            }
            out.extend(b"ub"); // SETITEMS BUILD
        }
        PickleValue::Tensor(storage) => tensor(out, storage),
    }
}

fn tensor(out: &mut Vec<u8>, storage: &Storage) {
    let Storage {
        key,
        class,
        size,
        requires_grad,
    } = storage;
    global(out, "torch._utils", "_rebuild_tensor_v2");
    out.extend(b"(("); // MARK MARK
    text(out, "storage");
    global(out, "torch", class);
    text(out, &key.to_string());
    text(out, "cpu");
    number(out, size.iter().product());
    out.extend(b"tQ"); // TUPLE BINPERSID
    number(out, 0); // offset
    let strides = (0..size.len()).map(|from| size[from + 1..].iter().product());
    tuple(out, size.iter().copied());
    tuple(out, strides);
    out.push(if *requires_grad { 0x88 } else { 0x89 });
    global(out, "collections", "OrderedDict");
    out.extend(b")RtR"); // EMPTY_TUPLE REDUCE TUPLE REDUCE
}

fn tuple(out: &mut Vec<u8>, numbers: impl Iterator<Item = i64>) {
    out.push(b'(');
    numbers.for_each(|n| number(out, n));
    out.push(b't');
}

fn global(out: &mut Vec<u8>, module: &str, name: &str) {
    out.extend(format!("c{module}\n{name}\n").bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X'); // BINUNICODE
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.bytes());
}

fn number(out: &mut Vec<u8>, number: i64) {
    match i32::try_from(number) {
        Ok(small) => {
            out.push(b'J'); // BININT
            out.extend(small.to_le_bytes());
        }
        Err(_) => {
            out.extend([0x8a, 8]); // LONG1
            out.extend(number.to_le_bytes());
        }
    }
}
