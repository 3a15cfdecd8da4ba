use super::report::last;

#[test]
fn the_last_of_a_text_begins_with_a_whole_character() {
    assert_eq!(last("abc", 9), "abc");
    assert_eq!(last("abc", 2), "bc");
    assert_eq!(last("aé", 1), "");
    assert_eq!(last("éé", 3), "é");
}
