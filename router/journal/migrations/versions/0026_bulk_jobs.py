"""actions on many rows that outlive a restart, and searches that are kept

Revision: 0026
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op


revision = '0026'
down_revision = '0025'
branch_labels = None
depends_on = None


FAILED = sa.text("state IN ('retrying', 'held', 'dead', 'cancelled')")


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('bulk_job',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('action', sa.String(length=24), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('done', sa.Integer(), server_default='0', nullable=False),
    sa.Column('changed', sa.Integer(), server_default='0', nullable=False),
    sa.Column('more', sa.Boolean(), nullable=False),
    sa.Column('back', sa.String(length=400), nullable=False),
    sa.Column('target', sa.String(length=200), server_default='', nullable=False),
    sa.Column('set_aside', sa.Boolean(), nullable=False),
    sa.Column('preview', sa.Text(), server_default='', nullable=False),
    sa.Column('problem', sa.String(length=400), server_default='', nullable=False),
    sa.Column('started_at', sa.BigInteger(), nullable=True),
    sa.Column('ended_at', sa.BigInteger(), nullable=True),
    sa.Column('undo_of', number, nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bulk_job'))
    )
    running = sa.text("state = 'running'")
    op.create_index('ix_bulk_job_running', 'bulk_job', ['state', 'id'], sqlite_where=running, postgresql_where=running)
    op.create_table('bulk_row',
    sa.Column('job_id', number, autoincrement=False, nullable=False),
    sa.Column('row_id', number, autoincrement=False, nullable=False),
    sa.Column('source_ids', sa.Text(), nullable=True),
    sa.Column('outcome', sa.String(length=24), nullable=True),
    sa.Column('made_ids', sa.Text(), nullable=True),
    sa.Column('before', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['job_id'], ['bulk_job.id'], name=op.f('fk_bulk_row_job_id_bulk_job'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'row_id', name=op.f('pk_bulk_row')),
    sqlite_with_rowid=False
    )
    still = sa.text('outcome IS NULL')
    op.create_index('ix_bulk_row_open', 'bulk_row', ['job_id', 'row_id'], sqlite_where=still, postgresql_where=still)
    op.create_table('saved_search',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('owner', sa.String(length=80), nullable=False),
    sa.Column('name', sa.String(length=80), nullable=False),
    sa.Column('shared', sa.Boolean(), nullable=False),
    sa.Column('pinned', sa.Boolean(), nullable=False),
    sa.Column('page', sa.String(length=40), nullable=False),
    sa.Column('wishes', sa.Text(), nullable=False),
    sa.Column('sealed_text', sa.LargeBinary(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_saved_search'))
    )
    op.create_index('ix_saved_search_owner', 'saved_search', ['owner'])
    op.drop_index('ix_delivery_failed', table_name='delivery')
    columns = ['state', 'id', 'destination', 'detail', 'message_id', 'created_at', 'ended_at']
    op.create_index('ix_delivery_failed', 'delivery', columns, sqlite_where=FAILED, postgresql_where=FAILED)


def downgrade() -> None:
    op.drop_index('ix_delivery_failed', table_name='delivery')
    op.create_index('ix_delivery_failed', 'delivery', ['state', 'id'], sqlite_where=FAILED, postgresql_where=FAILED)
    op.drop_index('ix_saved_search_owner', table_name='saved_search')
    op.drop_table('saved_search')
    op.drop_index('ix_bulk_row_open', table_name='bulk_row')
    op.drop_table('bulk_row')
    op.drop_index('ix_bulk_job_running', table_name='bulk_job')
    op.drop_table('bulk_job')
