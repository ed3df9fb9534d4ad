"""Access requests: asked for, decided, used; and hearing without approval (break-glass)."""
