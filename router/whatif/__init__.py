"""What if: messages read again through a changed configuration, without sending anything, and the differences told."""
