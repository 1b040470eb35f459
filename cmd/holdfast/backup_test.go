package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/backup"
)

func TestABackupIsWholeThoughAnotherOneIsWrittenToTheSameFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b")
	whole := func(c byte) []byte { return bytes.Repeat([]byte{c}, 1000) }
	_, err := writeBackup(path, func(w io.Writer) (*backup.Summary, error) {
		_, err := w.Write(whole('a')[:500])
		if _, second := writeBackup(path, func(w io.Writer) (*backup.Summary, error) {
			_, err := w.Write(whole('b'))
			return nil, err
		}); second != nil {
			t.Error(second)
		}
		if b, _ := os.ReadFile(path); !bytes.Equal(b, whole('b')) {
			t.Errorf("the second one's file has %d bytes", len(b))
		}
		_, rest := w.Write(whole('a')[500:])
		return nil, errors.Join(err, rest)
	})
	if b, _ := os.ReadFile(path); err != nil || !bytes.Equal(b, whole('a')) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if _, err := writeBackup(path, nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file that is there: %v", err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("%d files are left", len(list))
	}
}

func TestABackupThatBreaksOffLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	_, err := writeBackup(filepath.Join(dir, "b"), func(w io.Writer) (*backup.Summary, error) {
		_, err := w.Write([]byte("half"))
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("%d files are left", len(list))
	}
}
