package cache

import "errors"

func fifo(string) error { return errors.New("there are none here") }
