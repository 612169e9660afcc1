//! Promises about tables of images: however they are written they mean the same, or are refused with their line.

mod support;

use support::Workshop;

#[test]
fn a_table_names_images_their_classes_and_parts_however_it_is_written() {
    let workshop = Workshop::with_folders(10);
    workshop.write("it's, here/a \"b\".png", workshop.read("data/0/0000.png"));
    let tables = [
        (
            "t.csv",
            "\u{feff}path,label,part\r\n\"it's, here/a \"\"b\"\".png\",0,train\r\ndata/0/0001.png,0,train\r\n\r\ndata/1/0000.png, 1 ,train\r\ndata/1/0001.png,1,VALID\r\ndata/0/0002.png,0,test",
        ),
        (
            "t.tsv",
            "label\tpart\tpath\n0\ttrain\tit's, here/a \"b\".png\n0\ttrain\tdata/0/0001.png\n1\ttrain\tdata/1/0000.png\n1\tval\tdata/1/0001.png\n0\ttest\tdata/0/0002.png\n",
        ),
    ];
    for (name, text) in tables {
        workshop.write(name, text);
        workshop.write("own.yaml", format!("version: 1\ndata: {{source: {{kind: table, file: {name}}}, image: {{height: 8, width: 8}}}}\nmodel: {{kind: ann}}\ntrain: {{epochs: 1, batch_size: 3}}\n"));
        let said = workshop.signet(&["data", "info", "own.yaml"]).stdout;
        for line in [
            "class 0      3 (train 2, val 0, test 1)",
            "class 1      2 (train 1, val 1, test 0)",
        ] {
            assert!(
                said.lines().any(|known| known == line),
                "{name}: {line} in {said}"
            );
        }
        workshop.signet(&["train", "own.yaml", "--run", &name.replace('.', "-"), "-q"]);
    }
    let split = workshop.json("t-csv/split.json");
    assert_eq!(
        split["train"],
        serde_json::json!([
            "it's, here/a \"b\".png",
            "data/0/0001.png",
            "data/1/0000.png"
        ])
    );
}

#[test]
fn a_table_that_contradicts_itself_is_refused_with_its_line() {
    let workshop = Workshop::with_folders(10);
    let cases = [
        (
            "file,label\na,0\n",
            "t.csv: has no column \"path\"; it has file, label; name the one with -s data.source.path=COLUMN",
        ),
        (
            "path,label\ndata/0/0000.png,0\ndata/0/0000.png,1\n",
            "line 3: \"data/0/0000.png\" is \"1\", and \"0\" in line 2; an image has one class",
        ),
        (
            "path,label\ndata/0/0000.png,0\ndata/0/0000.png,0\n",
            "line 3: \"data/0/0000.png\" stands in line 2 already; name each image once",
        ),
        (
            "path,label\ndata/0/0000.png, \n",
            "line 2: label: nothing stands there",
        ),
        (
            "path,label\ndata/0/0000.png,0\n\"data/0/0001.png,0\ndata/1/0000.png,1\n",
            "line 3: 1 values, and the first line names 2 columns; is a quote or a comma missing?",
        ),
        (
            "path,label\ndata/0/0000.png,0,x\n",
            "line 2: 3 values, and the first line names 2 columns",
        ),
        (
            "path,label\n\"a\nb\",0\n",
            "line 2: path: more than one line; is a quote not closed?",
        ),
        (
            "path,label,part\ndata/0/0000.png,0,holdout\n",
            "line 2: part: \"holdout\" is not one of train, val, test",
        ),
        ("path,label\n", "t.csv: has no line but the first"),
        ("", "t.csv: has no column \"path\""),
        (
            "path,label\nnowhere.png,0\ndata/1/0000.png,1\n",
            "nowhere.png cannot be read",
        ),
        (
            "path,label\ndata,0\ndata/1/0000.png,1\n",
            "data is no file of its own, but a folder",
        ),
        (
            "path,label\ndata/0/0000.png,0\n",
            "only the class \"0\" is there",
        ),
    ];
    workshop.write(
        "own.yaml",
        "version: 1\ndata: {source: {kind: table, file: t.csv}}\nmodel: {kind: ann}\n",
    );
    for (text, words) in cases {
        workshop.write("t.csv", text);
        workshop
            .call(&["data", "info", "own.yaml"])
            .assert_failed(3, words);
    }
    std::fs::remove_file(workshop.path("t.csv")).unwrap();
    let words = "t.csv: cannot be read from ";
    workshop
        .call(&["data", "info", "own.yaml"])
        .assert_failed(3, words);
    workshop.write("t.csv", b"path,label\n\xff.png,0\n");
    workshop
        .call(&["data", "info", "own.yaml"])
        .assert_failed(3, "line 2: path: not UTF-8; save the table as UTF-8");
}
