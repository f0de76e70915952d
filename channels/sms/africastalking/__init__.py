"""Africa's Talking SMS: the bulk form out, three forms in."""
