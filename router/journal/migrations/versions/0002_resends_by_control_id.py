"""resends are recognised by control id and identity

A digest alone falls on a page of its own in the index, and each message then costs a page to write; control ids come in
sequence, so that their index grows at its end.

Revision: 0002
Follows: 0001
"""

from alembic import op


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ux_message_control_id', 'message', ['control_id', 'identity'], unique=True)
    op.drop_index('ux_message_identity', table_name='message')
    op.drop_index('ix_message_control_id', table_name='message')


def downgrade() -> None:
    op.create_index('ix_message_control_id', 'message', ['control_id'], unique=False)
    op.create_index('ux_message_identity', 'message', ['identity'], unique=True)
    op.drop_index('ux_message_control_id', table_name='message')
