"""Master keys that are to be retired: what still needs one, and what of that is sealed anew under the current one."""
